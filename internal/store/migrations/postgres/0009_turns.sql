-- How many runs of a workflow go on at a time: what its newest version says.

-- +goose Up

ALTER TABLE workflow
    ADD COLUMN run_limit INTEGER NOT NULL DEFAULT 0, -- 0: any number
    ADD COLUMN run_over TEXT NOT NULL DEFAULT '', -- wait, discard, stop_oldest
    ADD COLUMN turns BOOLEAN NOT NULL DEFAULT FALSE; -- some version had a limit: runs of it may wait
CREATE INDEX workflow_turns ON workflow (id) WHERE turns;

-- +goose Down
DROP INDEX workflow_turns;
ALTER TABLE workflow DROP COLUMN run_limit, DROP COLUMN run_over, DROP COLUMN turns;
