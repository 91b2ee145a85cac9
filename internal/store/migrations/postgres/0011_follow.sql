-- What waiting tasks follow: ends of runs of a workflow, or of a task of it, that are for a time in a span; events.

-- +goose Up

CREATE TABLE follow (
    workflow_id BIGINT NOT NULL, -- that is followed; 0: none, task is the key of an event
    row_id      BIGINT NOT NULL, -- the task instance that waits
    task        TEXT   NOT NULL, -- '': the whole run
    from_time   BIGINT NOT NULL, -- of data times, up to and without to_time
    to_time     BIGINT NOT NULL,
    instance_id BIGINT NOT NULL, -- of the row
    PRIMARY KEY (workflow_id, task, from_time, to_time, row_id) -- who follows a task, or an event
);
CREATE INDEX follow_row ON follow (row_id);
CREATE INDEX follow_run ON follow (workflow_id, from_time, to_time); -- who follows a run, or a task of it
CREATE INDEX follow_instance ON follow (instance_id);

-- +goose Down
DROP TABLE follow;
