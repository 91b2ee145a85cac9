-- Pools: limits that tasks of a project share, and who holds or waits for slots of them.

-- +goose Up

CREATE TABLE pool (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project (id),
    name       TEXT NOT NULL,
    body       TEXT NOT NULL, -- JSON of flow.Pool, as its file says it
    slots      INTEGER NOT NULL CHECK (slots >= 0), -- as it is
    closed     INTEGER NOT NULL, -- as it is
    slots_set  INTEGER NOT NULL DEFAULT 0, -- a verb said how many
    closed_set INTEGER NOT NULL DEFAULT 0, -- a verb said whether it is closed
    UNIQUE (project_id, name)
) STRICT;

-- A claim is written and deleted in commits of its instance. Whoever holds the lock on the pool gives it its slots:
-- what is used is the sum of those that were given, and there is no number beside them to be wrong.
CREATE TABLE pool_claim (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    instance_id INTEGER NOT NULL,
    task_id     INTEGER NOT NULL,
    project_id  INTEGER NOT NULL,
    pool        TEXT NOT NULL,
    key         TEXT NOT NULL,
    slots       INTEGER NOT NULL CHECK (slots >= 1),
    priority    INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 5),
    created_at  INTEGER NOT NULL, -- since when it waits
    given_at    INTEGER NOT NULL DEFAULT 0 -- 0: it waits
) STRICT;
CREATE INDEX pool_claim_waiting ON pool_claim (project_id, pool, key, priority, created_at, id) WHERE given_at = 0;
CREATE INDEX pool_claim_held ON pool_claim (project_id, pool, key, given_at, id) WHERE given_at > 0;
CREATE INDEX pool_claim_instance ON pool_claim (instance_id);

ALTER TABLE task ADD COLUMN claim INTEGER NOT NULL DEFAULT 0; -- on slots of its pool, 0: none
ALTER TABLE task ADD COLUMN given INTEGER NOT NULL DEFAULT 0; -- it has the slots that it claimed

-- +goose Down
ALTER TABLE task DROP COLUMN claim;
ALTER TABLE task DROP COLUMN given;
DROP TABLE pool_claim;
DROP TABLE pool;
