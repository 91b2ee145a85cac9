-- Names that one node holds at a time. A row stays when its name is free, so that the number of
-- the next holder is greater.

-- +goose Up

CREATE TABLE named_lease (
    name        TEXT COLLATE "C" PRIMARY KEY,
    holder      BIGINT NOT NULL, -- an incarnation, for people
    fence       BIGINT NOT NULL, -- a token: unique, and greater with every holder
    lease_until BIGINT NOT NULL  -- by the clock of the database; 0: given back
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- +goose Down
DROP TABLE named_lease;
