-- Triggers that wait for what happens outside: one master looks out, and what it has found is known to the next.

-- +goose Up

CREATE TABLE lookout (
    one     SMALLINT PRIMARY KEY CHECK (one = 1),
    owner   BIGINT NOT NULL -- the incarnation that looks out; another may when that one is fenced
);
INSERT INTO lookout (one, owner) VALUES (1, 0);

-- A trigger that is to be looked out for, as long as it is enabled.
CREATE TABLE trigger_outside (
    trigger_id BIGINT PRIMARY KEY REFERENCES trigger (id),
    source     TEXT COLLATE "C" NOT NULL, -- what it waits for: with another one it begins anew
    datasource TEXT COLLATE "C" NOT NULL, -- that it needs for that; '' for none
    since      BIGINT NOT NULL, -- what was there before is no event
    looked_at  BIGINT NOT NULL DEFAULT 0, -- until when somebody is known to have looked; 0: nobody has
    problem    TEXT COLLATE "C" NOT NULL DEFAULT '' -- why nobody can
);

-- Files that are no event any more: they were counted, or there before.
CREATE TABLE trigger_file (
    trigger_id BIGINT NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL, -- of what follows but gone_at: a path may be longer than a key
    path       TEXT COLLATE "C" NOT NULL,
    modified   BIGINT NOT NULL, -- nanoseconds
    size       BIGINT NOT NULL,
    tag        TEXT COLLATE "C" NOT NULL, -- of an object
    gone_at    BIGINT NOT NULL, -- 0: it is there
    PRIMARY KEY (trigger_id, digest)
);

-- +goose Down
DROP TABLE trigger_file;
DROP TABLE trigger_outside;
DROP TABLE lookout;
