-- Schedules, calendars, and what became of each time of a schedule.

-- +goose Up

-- Of the newest version, for runs that a schedule fires: 1 (highest) to 5; 0 is the usual one.
ALTER TABLE workflow ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
UPDATE workflow SET priority = CASE COALESCE((SELECT v.body ->> 'priority' FROM workflow_version v WHERE v.workflow_id = workflow.id AND v.version = workflow.version), '')
    WHEN 'highest' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' THEN 3 WHEN 'low' THEN 4 WHEN 'lowest' THEN 5 ELSE 0 END;

CREATE TABLE calendar (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES project (id),
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 1), -- the newest
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE calendar_version (
    calendar_id INTEGER NOT NULL REFERENCES calendar (id),
    version     INTEGER NOT NULL,
    body        TEXT NOT NULL, -- JSON of flow.Calendar
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (calendar_id, version)
) STRICT;

CREATE TABLE schedule (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  INTEGER NOT NULL,
    workflow_id INTEGER NOT NULL REFERENCES workflow (id),
    name        TEXT NOT NULL,
    position    INTEGER NOT NULL, -- in the file
    body        TEXT NOT NULL, -- JSON of flow.Schedule
    revision    INTEGER NOT NULL CHECK (revision >= 1),
    enabled     INTEGER NOT NULL,
    overridden  INTEGER NOT NULL DEFAULT 0, -- a verb said whether it is enabled
    removed     INTEGER NOT NULL DEFAULT 0, -- it is not in the file any more; its fires remain
    UNIQUE (workflow_id, name)
) STRICT;
CREATE INDEX schedule_project ON schedule (project_id, id);

-- What is to be looked at next of a revision of a schedule. One that was changed while times of it were due has
-- its old revision here until those are dealt with.
CREATE TABLE timing (
    schedule_id      INTEGER NOT NULL REFERENCES schedule (id),
    revision         INTEGER NOT NULL,
    body             TEXT NOT NULL, -- JSON of flow.Schedule, of this revision
    calendar_id      INTEGER NOT NULL DEFAULT 0, -- 0: none
    calendar_version INTEGER NOT NULL DEFAULT 0,
    after_time       INTEGER NOT NULL, -- nominal times up to here are dealt with
    until_time       INTEGER NOT NULL DEFAULT 0, -- later ones are the next revision's; 0: none are
    halted           INTEGER NOT NULL DEFAULT 0, -- it was disabled or removed: nothing of it is fired any more
    nominal_time     INTEGER NOT NULL DEFAULT 0, -- the next; 0: not found out yet, or none
    next_at          INTEGER NOT NULL, -- when to look; 0: never again
    PRIMARY KEY (schedule_id, revision)
) STRICT;
CREATE INDEX timing_next ON timing (next_at, schedule_id) WHERE next_at > 0;

-- A due time of a schedule has one fate, whoever decides it. The table was of no use so far.
DROP TABLE fire;
CREATE TABLE fire (
    id           INTEGER PRIMARY KEY CHECK (id > 0),
    schedule_id  INTEGER NOT NULL,
    project_id   INTEGER NOT NULL,
    workflow_id  INTEGER NOT NULL,
    nominal_time INTEGER NOT NULL,
    last_time    INTEGER NOT NULL, -- of those that the row stands for
    times        INTEGER NOT NULL CHECK (times >= 1), -- how many that are
    state        INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3), -- fired, skipped, missed
    reason       TEXT NOT NULL,
    instance_id  INTEGER NOT NULL, -- 0: none
    created_at   INTEGER NOT NULL,
    UNIQUE (schedule_id, nominal_time),
    CHECK ((state = 1) = (instance_id > 0))
) STRICT;
CREATE INDEX fire_workflow ON fire (workflow_id, id);
CREATE INDEX fire_project ON fire (project_id, id);
CREATE INDEX fire_instance ON fire (instance_id) WHERE instance_id > 0;

-- +goose Down
ALTER TABLE workflow DROP COLUMN priority;
DROP TABLE fire;
DROP TABLE timing;
DROP TABLE schedule;
DROP TABLE calendar_version;
DROP TABLE calendar;
CREATE TABLE fire (
    schedule_id  INTEGER NOT NULL,
    nominal_time INTEGER NOT NULL,
    instance_id  INTEGER NOT NULL,
    reason       TEXT NOT NULL DEFAULT '',
    fired_at     INTEGER NOT NULL,
    PRIMARY KEY (schedule_id, nominal_time)
) STRICT, WITHOUT ROWID;
