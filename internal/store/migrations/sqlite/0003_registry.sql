-- Names that one node holds at a time. A row stays when its name is free, so that the number of
-- the next holder is greater.

-- +goose Up

CREATE TABLE named_lease (
    name        TEXT PRIMARY KEY,
    holder      INTEGER NOT NULL, -- an incarnation, for people
    fence       INTEGER NOT NULL, -- a token: unique, and greater with every holder
    lease_until INTEGER NOT NULL  -- by the clock of the database; 0: given back
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE named_lease;
