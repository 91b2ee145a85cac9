-- Rates, and keys that runs of a workflow share. workflow.turns is not read any more: runs that wait are found
-- by instance_turn. Masters of the version before read it, so it stays.

-- +goose Up

ALTER TABLE workflow
    ADD COLUMN run_key TEXT NOT NULL DEFAULT '', -- a text with ${…}; '': limit and rate are of all runs
    ADD COLUMN rate_starts INTEGER NOT NULL DEFAULT 0, -- 0: no rate
    ADD COLUMN rate_per BIGINT NOT NULL DEFAULT 0; -- microseconds

ALTER TABLE instance
    ADD COLUMN turn_key TEXT COLLATE "C" NOT NULL DEFAULT ''; -- what run_key of its version came to
-- Why + 0: see instance_workflow. The second has no runs of workflows without keys.
CREATE INDEX instance_turn ON instance (workflow_id, turn_key, (id + 0)) WHERE state = 2;
CREATE INDEX instance_keyed ON instance (workflow_id, turn_key, (id + 0)) WHERE turn_key <> '' AND state IN (3, 4, 5, 6, 7, 8);

-- A turn that was given, of a workflow that has a rate: what began in the last stretch are these rows.
CREATE TABLE turn (
    workflow_id BIGINT NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    given_at    BIGINT NOT NULL,
    instance_id BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL, -- from when on no rate sees it
    PRIMARY KEY (workflow_id, key, given_at, instance_id)
);
CREATE INDEX turn_expires ON turn (expires_at);

-- +goose Down
DROP TABLE turn;
DROP INDEX instance_keyed;
DROP INDEX instance_turn;
ALTER TABLE instance DROP COLUMN turn_key;
ALTER TABLE workflow DROP COLUMN run_key, DROP COLUMN rate_starts, DROP COLUMN rate_per;
