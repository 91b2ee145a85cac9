-- Which item of a map, or round of a loop, a task instance is.

-- +goose Up

ALTER TABLE task ADD COLUMN item INTEGER NOT NULL DEFAULT 0; -- its index + 1; 0: it is neither

-- +goose Down
ALTER TABLE task DROP COLUMN item;
