-- What a project weighs where tasks of several wait for places.

-- +goose Up

ALTER TABLE project ADD COLUMN weight INTEGER NOT NULL DEFAULT 0; -- 0: 1, as its file does not say

-- Every heartbeat of a master reads these.
CREATE INDEX project_weight ON project (id) WHERE weight > 1;

-- +goose Down
DROP INDEX project_weight;
ALTER TABLE project DROP COLUMN weight;
