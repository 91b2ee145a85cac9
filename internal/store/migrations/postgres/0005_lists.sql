-- Lists by data time go day by day, and no list's index serves another's.

-- +goose Up

DROP INDEX instance_workflow;
DROP INDEX instance_project;
DROP INDEX instance_state;
DROP INDEX instance_data;
-- The first two say trigger + 0 and the last 0 + id, so that the last does not serve a workflow or
-- project, by reading all others: while there are no statistics that looks as cheap.
-- data_time at their end lets a filter by it pass over entries without a look at their rows.
CREATE INDEX instance_workflow ON instance (workflow_id, state, (trigger + 0), (id + 0), data_time);
CREATE INDEX instance_project ON instance (project_id, state, (trigger + 0), (id + 0), data_time);
CREATE INDEX instance_state ON instance (state, trigger, (0 + id), data_time);
-- A range of data times is a merge of one stream for each day in it: see list_days.go. No column
-- of these two ever changes.
CREATE INDEX instance_day ON instance ((data_time / 86400000000), trigger, (id + 0), data_time, project_id);
CREATE INDEX instance_workflow_day ON instance (workflow_id, (data_time / 86400000000), (id + 0), data_time, trigger);

-- +goose Down

DROP INDEX instance_workflow_day;
DROP INDEX instance_day;
DROP INDEX instance_state;
DROP INDEX instance_project;
DROP INDEX instance_workflow;
CREATE INDEX instance_workflow ON instance (workflow_id, state, trigger, (id + 0));
CREATE INDEX instance_project ON instance (project_id, state, trigger, (id + 0));
CREATE INDEX instance_state ON instance (state, trigger, (id + 0));
CREATE INDEX instance_data ON instance (data_time, workflow_id, project_id);
