-- Several masters: where each is reached, how loaded it is, and who took over from whom.

-- +goose Up

-- Who this store is: nodes of two clusters find out that they are none of each other's.
INSERT INTO setting (key, value) VALUES ('cluster', md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text));

ALTER TABLE node
    ADD COLUMN address TEXT NOT NULL DEFAULT '', -- host:port that others reach it at
    ADD COLUMN cpu DOUBLE PRECISION NOT NULL DEFAULT 0, -- 0..1 of all cores
    ADD COLUMN memory DOUBLE PRECISION NOT NULL DEFAULT 0; -- 0..1 of the machine's

-- Which nodes a person wants to take nothing new; by home, so that it outlives a restart.
CREATE TABLE drain (
    home       TEXT COLLATE "C" PRIMARY KEY,
    given_by   TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- A node was declared dead and its work handed on: history for people.
CREATE TABLE failover (
    incarnation BIGINT PRIMARY KEY, -- of the dead one: it dies once
    role        TEXT NOT NULL,
    name        TEXT NOT NULL,
    witness     BIGINT NOT NULL, -- who declared it dead
    reason      TEXT NOT NULL,
    instances   BIGINT NOT NULL DEFAULT 0, -- handed on so far
    fenced_at   BIGINT NOT NULL,
    released_at BIGINT NOT NULL DEFAULT 0 -- everything was handed on
);
CREATE INDEX failover_time ON failover (fenced_at);

-- The length of leases is what the first process is told, until a person sets it.
DELETE FROM setting WHERE key = 'lease' AND value = '10s';

-- +goose Down
INSERT INTO setting (key, value) VALUES ('lease', '10s') ON CONFLICT DO NOTHING;
DELETE FROM setting WHERE key = 'cluster';
DROP TABLE failover;
DROP TABLE drain;
ALTER TABLE node DROP COLUMN address, DROP COLUMN cpu, DROP COLUMN memory;
