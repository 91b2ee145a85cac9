-- The whole schema. Times are microseconds since 1970 UTC, 0 for none; ids are opaque 64-bit
-- numbers that grow with time; states carry the numbers of package flow. A column that may be
-- empty is NOT NULL with 0 or '' for "none", so that bulk writes need no null masks. JSON is
-- TEXT: nothing here looks inside it, and jsonb would refuse an escaped NUL and with it a whole
-- group commit.

-- +goose Up

-- One counter for the tokens of everything.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter (name, value) VALUES ('token', 0);

-- Settings of the cluster. generation is raised by restore and by promotion of a replica: it is
-- the upper part of every token, so that tokens of a lost future stay smaller.
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO setting (key, value) VALUES ('generation', '0'), ('lease', '10s'), ('min_version', '1');

CREATE TABLE api_token (
    sum        TEXT PRIMARY KEY, -- hex SHA-256; the token itself is nowhere
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a node is and how loaded: written by every heartbeat, and therefore apart from fence,
-- which every commit locks (heartbeats on the same row took 150 ms under load).
CREATE TABLE node (
    incarnation INTEGER PRIMARY KEY,
    number      INTEGER NOT NULL CHECK (number BETWEEN 0 AND 1022),
    role        TEXT NOT NULL,
    name        TEXT NOT NULL,
    home        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    groups      TEXT NOT NULL, -- JSON list
    slots       INTEGER NOT NULL,
    running     INTEGER NOT NULL,
    labels      TEXT NOT NULL, -- JSON object
    state       TEXT NOT NULL,
    version     TEXT NOT NULL,
    engine      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;
CREATE INDEX node_home ON node (home);

-- epoch 1: may commit. Greater: declared dead, commits nothing any more.
CREATE TABLE fence (
    incarnation INTEGER PRIMARY KEY,
    epoch       INTEGER NOT NULL CHECK (epoch >= 1),
    released    INTEGER NOT NULL DEFAULT FALSE -- what it owned has been handed over
) STRICT;

CREATE TABLE project (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    params      TEXT NOT NULL DEFAULT '' -- JSON list of pairs
) STRICT;

-- A workflow's identity is its id: a rename keeps the history.
CREATE TABLE workflow (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES project (id),
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 1), -- the newest
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE workflow_version (
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    version     INTEGER NOT NULL,
    body        TEXT NOT NULL, -- JSON of flow.Workflow
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE datasource (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES project (id),
    name       TEXT NOT NULL,
    body       TEXT NOT NULL, -- JSON of flow.DataSource; never a password
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE blob (
    sum     TEXT PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

-- Orders to start something new. A row lives until the commit that makes the instance.
CREATE TABLE command (
    id           INTEGER PRIMARY KEY,
    project_id   INTEGER NOT NULL,
    workflow_id  INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    priority     INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 5),
    key          TEXT NOT NULL,
    takes        INTEGER NOT NULL DEFAULT 0,
    start        TEXT NOT NULL, -- JSON of flow.Start
    zone         TEXT NOT NULL,
    trigger      INTEGER NOT NULL CHECK (trigger BETWEEN 1 AND 5),
    data_time    INTEGER NOT NULL,
    dry_run      INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX command_turn ON command (priority, (id + 0));

-- Keys outlive their commands, until expires_at.
CREATE TABLE idempotency (
    project_id  INTEGER NOT NULL,
    workflow_id INTEGER NOT NULL,
    key         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    instance_id INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (project_id, workflow_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

-- A run. Every commit changes its row where owner and seq are what the writer expects: that
-- comparison is the safety of the whole system.
CREATE TABLE instance (
    id           INTEGER PRIMARY KEY,
    project_id   INTEGER NOT NULL,
    workflow_id  INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    state        INTEGER NOT NULL CHECK (state BETWEEN 1 AND 11),
    prior        INTEGER NOT NULL CHECK (prior BETWEEN 0 AND 11),
    seq          INTEGER NOT NULL CHECK (seq >= 1),
    owner        INTEGER NOT NULL CHECK (owner >= 0),
    takes        INTEGER NOT NULL DEFAULT 0, -- claims since the last commit
    engine       INTEGER NOT NULL,
    wake_at      INTEGER NOT NULL CHECK (wake_at >= 0),
    run_times    INTEGER NOT NULL,
    dry_run      INTEGER NOT NULL,
    fail_fast    INTEGER NOT NULL,
    undo         INTEGER NOT NULL,
    warned       INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    priority     INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 5),
    data_time    INTEGER NOT NULL,
    zone         TEXT NOT NULL,
    trigger      INTEGER NOT NULL CHECK (trigger BETWEEN 1 AND 5),
    key          TEXT NOT NULL,
    reason       TEXT NOT NULL,
    spec         TEXT NOT NULL, -- JSON of flow.Start
    params       TEXT NOT NULL, -- JSON object
    outputs      TEXT NOT NULL, -- JSON object
    holds        TEXT NOT NULL, -- JSON list of names of tasks held ahead of their row
    parent_id    INTEGER NOT NULL,
    parent_row   INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL,
    paused_at    INTEGER NOT NULL,
    paused_for   INTEGER NOT NULL,
    -- wake_at while nobody drives the run: what is indexed must not change with every step.
    parked_until INTEGER GENERATED ALWAYS AS (CASE WHEN owner = 0 THEN wake_at ELSE 0 END) STORED
) STRICT;
-- A commit in the middle of a run changes no indexed column, so it stays a HOT update. What
-- begins, parks and ends a run changes owner, and pays for the rest.
CREATE INDEX instance_wake ON instance (parked_until) WHERE parked_until > 0;
CREATE INDEX instance_owner ON instance (owner, id) WHERE owner > 0;
-- Lists, newest first: a page is a merge of one ordered stream for each (state, trigger) that
-- the filter allows, so none of these filters scans what it does not show. They are ordered by
-- id + 0, which is an expression so that only these indexes give that order: a walk of the primary
-- key with a filter looks cheap and reads everything.
CREATE INDEX instance_workflow ON instance (workflow_id, state, trigger, (id + 0));
CREATE INDEX instance_project ON instance (project_id, state, trigger, (id + 0));
CREATE INDEX instance_state ON instance (state, trigger, (id + 0));
CREATE INDEX instance_data ON instance (data_time, workflow_id, project_id);

-- A run of a task, with its present attempt inline: grant and end are one write each. One index
-- and no changing column in it: any other would end HOT updates and double the cost of a step
-- (also a partial one: the columns of its predicate count).
CREATE TABLE task (
    instance_id        INTEGER NOT NULL,
    id                 INTEGER NOT NULL,
    name               TEXT NOT NULL,
    type               TEXT NOT NULL,
    state              INTEGER NOT NULL CHECK (state BETWEEN 1 AND 11),
    valid              INTEGER NOT NULL,
    run_times          INTEGER NOT NULL,
    reason             TEXT NOT NULL,
    next_check         INTEGER NOT NULL,
    held               INTEGER NOT NULL,
    kill               INTEGER NOT NULL CHECK (kill BETWEEN 0 AND 6),
    warned             INTEGER NOT NULL,
    compensates        INTEGER NOT NULL,
    eligible_at        INTEGER NOT NULL,
    started_at         INTEGER NOT NULL,
    ended_at           INTEGER NOT NULL,
    outputs            TEXT NOT NULL,
    number             INTEGER NOT NULL CHECK (number >= 0), -- of the attempt, 0: none yet
    infra              INTEGER NOT NULL,
    token              INTEGER NOT NULL,
    session            INTEGER NOT NULL,
    worker             TEXT NOT NULL,
    attempt_state      INTEGER NOT NULL CHECK (attempt_state BETWEEN 0 AND 9),
    confirmed          INTEGER NOT NULL,
    ref                TEXT NOT NULL,
    cause              TEXT NOT NULL,
    class              TEXT NOT NULL CHECK (class IN ('', 'user', 'infrastructure')),
    exit_code          INTEGER NOT NULL,
    refused            INTEGER NOT NULL,
    granted_at         INTEGER NOT NULL,
    attempt_started_at INTEGER NOT NULL,
    beat_at            INTEGER NOT NULL,
    attempt_ended_at   INTEGER NOT NULL,
    PRIMARY KEY (instance_id, id)
) STRICT, WITHOUT ROWID;

-- Earlier attempts of task rows.
CREATE TABLE attempt (
    instance_id INTEGER NOT NULL,
    task_id     INTEGER NOT NULL,
    number      INTEGER NOT NULL CHECK (number >= 1),
    infra       INTEGER NOT NULL,
    token       INTEGER NOT NULL,
    session     INTEGER NOT NULL,
    worker      TEXT NOT NULL,
    state       INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9),
    confirmed   INTEGER NOT NULL,
    ref         TEXT NOT NULL,
    cause       TEXT NOT NULL,
    class       TEXT NOT NULL CHECK (class IN ('', 'user', 'infrastructure')),
    exit_code   INTEGER NOT NULL,
    refused     INTEGER NOT NULL,
    granted_at  INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    beat_at     INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    PRIMARY KEY (instance_id, task_id, number)
) STRICT, WITHOUT ROWID;

-- Orders and news for a run that exists, pending until its owner consumes them. A consumed row
-- stays until the run is pruned: it keeps dedup unique, so that an order given again finds the
-- first one, and it carries the verdict.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY,
    instance_id INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    dedup       TEXT NOT NULL UNIQUE,
    payload     TEXT NOT NULL, -- JSON; emptied when consumed
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3), -- pending, consumed, applied, refused
    created_at  INTEGER NOT NULL,
    verb        TEXT NOT NULL DEFAULT '',
    reason      TEXT NOT NULL DEFAULT '',
    given_by    TEXT NOT NULL DEFAULT '',
    settled_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX inbox_pending ON inbox (id, instance_id) WHERE state = 0;
CREATE INDEX inbox_instance ON inbox (instance_id);

CREATE TABLE alert (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    kind        TEXT NOT NULL,
    project_id  INTEGER NOT NULL,
    instance_id INTEGER NOT NULL,
    task        TEXT NOT NULL,
    workflow    TEXT NOT NULL,
    message     TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_instance ON alert (instance_id, id);
CREATE INDEX alert_workflow ON alert (project_id, workflow, id);
CREATE INDEX alert_project ON alert (project_id, id);

-- A due time of a schedule fires once, whoever fires it.
CREATE TABLE fire (
    schedule_id  INTEGER NOT NULL,
    nominal_time INTEGER NOT NULL,
    instance_id  INTEGER NOT NULL,
    reason       TEXT NOT NULL DEFAULT '',
    fired_at     INTEGER NOT NULL,
    PRIMARY KEY (schedule_id, nominal_time)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE fire;
DROP TABLE alert;
DROP TABLE inbox;
DROP TABLE attempt;
DROP TABLE task;
DROP TABLE instance;
DROP TABLE idempotency;
DROP TABLE command;
DROP TABLE blob;
DROP TABLE datasource;
DROP TABLE workflow_version;
DROP TABLE workflow;
DROP TABLE project;
DROP TABLE fence;
DROP TABLE node;
DROP TABLE api_token;
DROP TABLE setting;
DROP TABLE counter;
