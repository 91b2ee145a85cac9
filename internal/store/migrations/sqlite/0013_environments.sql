-- Worker groups that are known by name, and how the processes of tasks are prepared. Neither belongs to a project.

-- +goose Up

CREATE TABLE worker_group (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL -- JSON of flow.WorkerGroup
) STRICT;

CREATE TABLE environment (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL CHECK (version >= 1) -- the newest
) STRICT;

-- Every version is kept, so that what was used can be told.
CREATE TABLE environment_version (
    environment_id INTEGER NOT NULL REFERENCES environment (id),
    version        INTEGER NOT NULL,
    body           TEXT NOT NULL, -- JSON of flow.Environment; never a secret
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (environment_id, version)
) STRICT;

-- +goose Down
DROP TABLE environment_version;
DROP TABLE environment;
DROP TABLE worker_group;
