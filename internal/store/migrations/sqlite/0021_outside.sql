-- Triggers that wait for what happens outside: one master looks out, and what it has found is known to the next.

-- +goose Up

CREATE TABLE lookout (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    owner   INTEGER NOT NULL -- the incarnation that looks out; another may when that one is fenced
) STRICT;
INSERT INTO lookout (one, owner) VALUES (1, 0);

-- A trigger that is to be looked out for, as long as it is enabled.
CREATE TABLE trigger_outside (
    trigger_id INTEGER PRIMARY KEY REFERENCES trigger (id),
    source     TEXT NOT NULL, -- what it waits for: with another one it begins anew
    datasource TEXT NOT NULL, -- that it needs for that; '' for none
    since      INTEGER NOT NULL, -- what was there before is no event
    looked_at  INTEGER NOT NULL DEFAULT 0, -- until when somebody is known to have looked; 0: nobody has
    problem    TEXT NOT NULL DEFAULT '' -- why nobody can
) STRICT;

-- Files that are no event any more: they were counted, or there before.
CREATE TABLE trigger_file (
    trigger_id INTEGER NOT NULL,
    digest     TEXT NOT NULL, -- of what follows but gone_at: a path may be longer than a key
    path       TEXT NOT NULL,
    modified   INTEGER NOT NULL, -- nanoseconds
    size       INTEGER NOT NULL,
    tag        TEXT NOT NULL, -- of an object
    gone_at    INTEGER NOT NULL, -- 0: it is there
    PRIMARY KEY (trigger_id, digest)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE trigger_file;
DROP TABLE trigger_outside;
DROP TABLE lookout;
