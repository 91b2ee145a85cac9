-- Several masters: where each is reached, how loaded it is, and who took over from whom.

-- +goose Up

-- Who this store is: nodes of two clusters find out that they are none of each other's.
INSERT INTO setting (key, value) VALUES ('cluster', lower(hex(randomblob(16))));

ALTER TABLE node ADD COLUMN address TEXT NOT NULL DEFAULT ''; -- host:port that others reach it at
ALTER TABLE node ADD COLUMN cpu REAL NOT NULL DEFAULT 0; -- 0..1 of all cores
ALTER TABLE node ADD COLUMN memory REAL NOT NULL DEFAULT 0; -- 0..1 of the machine's

-- Which nodes a person wants to take nothing new; by home, so that it outlives a restart.
CREATE TABLE drain (
    home       TEXT PRIMARY KEY,
    given_by   TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A node was declared dead and its work handed on: history for people.
CREATE TABLE failover (
    incarnation INTEGER PRIMARY KEY, -- of the dead one: it dies once
    role        TEXT NOT NULL,
    name        TEXT NOT NULL,
    witness     INTEGER NOT NULL, -- who declared it dead
    reason      TEXT NOT NULL,
    instances   INTEGER NOT NULL DEFAULT 0, -- handed on so far
    fenced_at   INTEGER NOT NULL,
    released_at INTEGER NOT NULL DEFAULT 0 -- everything was handed on
) STRICT;
CREATE INDEX failover_time ON failover (fenced_at);

-- The length of leases is what the first process is told, until a person sets it.
DELETE FROM setting WHERE key = 'lease' AND value = '10s';

-- +goose Down
INSERT INTO setting (key, value) VALUES ('lease', '10s') ON CONFLICT DO NOTHING;
DELETE FROM setting WHERE key = 'cluster';
DROP TABLE failover;
DROP TABLE drain;
ALTER TABLE node DROP COLUMN address;
ALTER TABLE node DROP COLUMN cpu;
ALTER TABLE node DROP COLUMN memory;
