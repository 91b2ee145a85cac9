-- Backfills: a run for each of many dates of a workflow.

-- +goose Up

CREATE TABLE backfill (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    project_id  INTEGER NOT NULL,
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6), -- running, paused, stopping, stopped, failed, succeeded
    start       TEXT NOT NULL, -- JSON of flow.Start, without the data time
    zone        TEXT NOT NULL,
    descending  INTEGER NOT NULL,
    parallel    INTEGER NOT NULL CHECK (parallel >= 1),
    halt        INTEGER NOT NULL, -- on_failure: stop
    dates       INTEGER NOT NULL CHECK (dates >= 1), -- how many items there are
    reason      TEXT NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX backfill_going ON backfill (id) WHERE state <= 3;
CREATE INDEX backfill_workflow ON backfill (workflow_id, id);
CREATE INDEX backfill_project ON backfill (project_id, id);

-- How many of them go on, failed or are left is counted; there is no number that could be wrong.
CREATE TABLE backfill_item (
    backfill_id INTEGER NOT NULL,
    position    INTEGER NOT NULL, -- in which order they begin
    data_time   INTEGER NOT NULL,
    instance_id INTEGER NOT NULL DEFAULT 0, -- 0: none
    -- 0: not begun; 1: its run goes on, as far as anybody has looked; else how that ended, which outlives it
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 9, 10, 11)),
    reason      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (backfill_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX backfill_item_state ON backfill_item (backfill_id, state, position);
CREATE UNIQUE INDEX backfill_item_instance ON backfill_item (instance_id) WHERE instance_id > 0;

-- +goose Down
DROP TABLE backfill_item;
DROP TABLE backfill;
