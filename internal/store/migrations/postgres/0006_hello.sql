-- A hello of a worker that arrives late must not end the session that a later one was given.

-- +goose Up

ALTER TABLE node ADD COLUMN hello BIGINT NOT NULL DEFAULT 0; -- number of the hello that it answers; 0: none

-- +goose Down

ALTER TABLE node DROP COLUMN hello;
