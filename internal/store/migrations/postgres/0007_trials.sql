-- Of two masters that begin after a crash one tries a command at a time: what each of them tries at once would be
-- held for the cause of deaths that never were.

-- +goose Up

ALTER TABLE command
    ADD COLUMN tried_by BIGINT NOT NULL DEFAULT 0, -- incarnation that tries it; 0: nobody
    ADD COLUMN tried_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down

ALTER TABLE command DROP COLUMN tried_by, DROP COLUMN tried_at;
