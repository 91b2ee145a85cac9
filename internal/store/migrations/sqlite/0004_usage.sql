-- What an attempt and all that came of it has used, as its worker could tell.

-- +goose Up

ALTER TABLE task ADD COLUMN cpu_used INTEGER NOT NULL DEFAULT 0; -- microseconds of processor; 0: not known
ALTER TABLE task ADD COLUMN memory_peak INTEGER NOT NULL DEFAULT 0; -- bytes at most; 0: not known
ALTER TABLE attempt ADD COLUMN cpu_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN memory_peak INTEGER NOT NULL DEFAULT 0;

-- +goose Down

ALTER TABLE attempt DROP COLUMN memory_peak;
ALTER TABLE attempt DROP COLUMN cpu_used;
ALTER TABLE task DROP COLUMN memory_peak;
ALTER TABLE task DROP COLUMN cpu_used;
