-- Backfills that run the workflows which depend on theirs, too.

-- +goose Up

ALTER TABLE backfill ADD COLUMN cascaded INTEGER NOT NULL DEFAULT 0; -- how many of its dates are of dependents
ALTER TABLE backfill_item ADD COLUMN part INTEGER NOT NULL DEFAULT 0; -- 0: of its own workflow
ALTER TABLE backfill_item ADD COLUMN level INTEGER NOT NULL DEFAULT 0; -- of that part

-- Dependents, each with the schedule by whose times it is run.
CREATE TABLE backfill_part (
    backfill_id BIGINT NOT NULL,
    part        INTEGER NOT NULL CHECK (part >= 1),
    level       INTEGER NOT NULL CHECK (level >= 1), -- it begins when all dates of lower ones have ended
    workflow_id BIGINT NOT NULL REFERENCES workflow (id),
    start       TEXT NOT NULL, -- JSON of flow.Start, without the data time
    zone        TEXT NOT NULL,
    dates       INTEGER NOT NULL,
    reason      TEXT NOT NULL DEFAULT '', -- why it has no dates, or not all
    PRIMARY KEY (backfill_id, part)
);

-- +goose Down
DROP TABLE backfill_part;
ALTER TABLE backfill_item DROP COLUMN level;
ALTER TABLE backfill_item DROP COLUMN part;
ALTER TABLE backfill DROP COLUMN cascaded;
