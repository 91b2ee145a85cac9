-- Which deadlines of a run a person was told of.

-- +goose Up

ALTER TABLE instance ADD COLUMN told_until INTEGER NOT NULL DEFAULT 0; -- deadlines up to here are dealt with

-- +goose Down
ALTER TABLE instance DROP COLUMN told_until;
