-- What waits to begin of one workflow: whose turn comes first, and whether a run that a dependent waits for is on its way.

-- +goose Up

CREATE INDEX command_workflow ON command (workflow_id, (id + 0)); -- why + 0: see instance_workflow

-- +goose Down
DROP INDEX command_workflow;
