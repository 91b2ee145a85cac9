-- Triggers: which events start a workflow, what each has heard, and what became of each event.

-- +goose Up

CREATE TABLE trigger (
    id          INTEGER PRIMARY KEY,
    project_id  INTEGER NOT NULL,
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    name        TEXT NOT NULL,
    position    INTEGER NOT NULL, -- in the file
    body        TEXT NOT NULL, -- JSON of flow.Trigger
    revision    INTEGER NOT NULL CHECK (revision >= 1),
    enabled     INTEGER NOT NULL,
    overridden  INTEGER NOT NULL DEFAULT 0, -- a verb said whether it is enabled
    removed     INTEGER NOT NULL DEFAULT 0, -- it is not in the file any more; its starts remain
    UNIQUE (workflow_id, name)
) STRICT;
CREATE INDEX trigger_project ON trigger (project_id, id);

-- Whose ends a trigger waits for. By name: a workflow may not be there yet.
CREATE TABLE trigger_watch (
    project    TEXT NOT NULL,
    workflow   TEXT NOT NULL,
    trigger_id INTEGER NOT NULL REFERENCES trigger (id),
    source     TEXT NOT NULL, -- its key in the trigger
    states     INTEGER NOT NULL, -- that count, a bit each
    PRIMARY KEY (project, workflow, trigger_id, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX trigger_watch_trigger ON trigger_watch (trigger_id);

-- An end that a trigger waited for, written by the commit that ends the run, deleted when it is taken or too old.
CREATE TABLE trigger_mark (
    trigger_id  INTEGER NOT NULL,
    source      TEXT NOT NULL,
    ended_at    INTEGER NOT NULL,
    instance_id INTEGER NOT NULL,
    seq         INTEGER NOT NULL, -- of the instance: it may end again
    state       INTEGER NOT NULL,
    data_time   INTEGER NOT NULL,
    fresh       INTEGER NOT NULL DEFAULT 1, -- nobody has looked at it
    PRIMARY KEY (trigger_id, source, ended_at, instance_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX trigger_mark_fresh ON trigger_mark (trigger_id) WHERE fresh;

CREATE TABLE trigger_start (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    trigger_id  INTEGER NOT NULL,
    project_id  INTEGER NOT NULL,
    workflow_id INTEGER NOT NULL,
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 2), -- fired, skipped
    reason      TEXT NOT NULL,
    cause       TEXT NOT NULL,
    key         TEXT NOT NULL, -- '' or what makes an event the same as one before
    instance_id INTEGER NOT NULL, -- 0: none
    created_at  INTEGER NOT NULL,
    CHECK ((state = 1) = (instance_id > 0))
) STRICT;
CREATE UNIQUE INDEX trigger_start_key ON trigger_start (trigger_id, key) WHERE key <> '';
CREATE INDEX trigger_start_trigger ON trigger_start (trigger_id, id);
CREATE INDEX trigger_start_workflow ON trigger_start (workflow_id, id);
CREATE INDEX trigger_start_project ON trigger_start (project_id, id);
CREATE INDEX trigger_start_instance ON trigger_start (instance_id) WHERE instance_id > 0;

-- Some trigger waits for ends: whoever commits one has to look who. A commit that does not know it yet writes nothing
-- and is made again.
ALTER TABLE fence ADD COLUMN watched INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE fence DROP COLUMN watched;
DROP TABLE trigger_start;
DROP TABLE trigger_mark;
DROP TABLE trigger_watch;
DROP TABLE trigger;
