-- The group commit on PostgreSQL: one statement, put together from those of the parts below that a
-- batch needs. $1 is the incarnation that commits, $2 its epoch; every ? becomes the next number.
-- All arrays of a part are columns of the same rows, sorted by primary key, so that locks are
-- taken in one order everywhere.
--
-- Rows to update are found in a LATERAL subquery and then met by ctid. A plain join on the key
-- leaves the planner free to read the whole index as the outer side, which costs nothing while a
-- table is empty, and the plan stays when it is not: no setting forbids that. OFFSET 0 keeps the
-- subquery one. A row that another transaction changed while this one waited for it has a new
-- ctid, so it is met no more, whatever else holds of it. That is right where another change must
-- win. A row of instance is changed elsewhere only with a greater seq (a claim, a takeover, a
-- quarantine): this commit is then of a run that is gone. Rows of task and inbox are changed
-- elsewhere only by who has locked their instance and raised its seq, so no such change lies between
-- the gate and them. Claims on pools are changed by who gives slots, beside their run: those are met
-- by key, and by values that are known before the lock is waited for. What is looked at again after
-- that wait may be no part of this statement that writes.
--
-- "(x IN (SELECT …)) IS TRUE" keeps the planner from making a join of it: with hash joins off
-- that would be a nested loop over two lists, while a subplan is hashed.

-- name: begin
-- The coarse gate. FOR SHARE makes a fencer wait for this statement, and this statement see the
-- epoch of a fencer it waited for. The same holds for who applies a trigger: this form of the statement
-- marks no ends, so it writes nothing when some trigger waits for them.
WITH live AS MATERIALIZED (
    SELECT incarnation AS owner, watched FROM fence WHERE incarnation = $1 AND epoch = $2 AND NOT watched FOR SHARE
)

-- name: begin watched
WITH live AS MATERIALIZED (
    SELECT incarnation AS owner, watched FROM fence WHERE incarnation = $1 AND epoch = $2 FOR SHARE
)

-- name: created
-- New instances: who deletes the command makes the run.
, taken AS (
    DELETE FROM command WHERE id = ANY (?::bigint[]) AND EXISTS (SELECT 1 FROM live)
    RETURNING id
), created AS (
    INSERT INTO instance (
        id, project_id, workflow_id, version, state, prior, seq, owner, engine,
        wake_at, run_times, dry_run, fail_fast, undo, warned, due, priority,
        data_time, zone, trigger, key, reason, spec, params, outputs, holds, parent_id,
        parent_row, submitted_at, started_at, ended_at, paused_at, paused_for, told_until, turn_key)
    SELECT u.*
    FROM unnest(
        ?::bigint[], ?::bigint[], ?::bigint[], ?::int[], ?::smallint[], ?::smallint[], ?::bigint[], ?::bigint[], ?::int[],
        ?::bigint[], ?::int[], ?::bool[], ?::bool[], ?::bool[], ?::bool[], ?::bool[], ?::smallint[],
        ?::bigint[], ?::text[], ?::smallint[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[],
        ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[]) AS u (id)
    WHERE (u.id IN (SELECT id FROM taken)) IS TRUE
    RETURNING id
)

-- name: moved
-- Instances that exist: owner and seq must be what the change was made from. What a run never
-- changes (its spec, data time, …) is not written again.
, moved AS (
    UPDATE instance i SET
        takes = 0, state = u.state, prior = u.prior, seq = u.seq, owner = u.owner, engine = u.engine,
        wake_at = u.wake_at, run_times = u.run_times, fail_fast = u.fail_fast, undo = u.undo,
        warned = u.warned, due = u.due, priority = u.priority, reason = u.reason,
        params = u.params, outputs = u.outputs, holds = u.holds, started_at = u.started_at, ended_at = u.ended_at,
        paused_at = u.paused_at, paused_for = u.paused_for, told_until = u.told_until, parent_row = u.parent_row
    FROM live
    CROSS JOIN unnest(
        ?::bigint[], ?::smallint[], ?::smallint[], ?::bigint[], ?::bigint[], ?::int[],
        ?::bigint[], ?::int[], ?::bool[], ?::bool[],
        ?::bool[], ?::bool[], ?::smallint[], ?::text[],
        ?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[],
        ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]
    ) AS u (id, state, prior, seq, owner, engine, wake_at, run_times, fail_fast, undo, warned, due,
        priority, reason, params, outputs, holds, started_at, ended_at, paused_at, paused_for, told_until, parent_row)
    CROSS JOIN LATERAL (SELECT x.ctid AS at FROM instance x WHERE x.id = u.id OFFSET 0) AS row
    WHERE i.ctid = row.at AND i.owner = live.owner AND i.seq = u.seq - 1
    RETURNING i.id
)

-- name: gate created
, gate AS (SELECT id FROM created)

-- name: gate moved
, gate AS (SELECT id FROM moved)

-- name: gate created moved
, gate AS (SELECT id FROM created UNION ALL SELECT id FROM moved)

-- name: generation
, generation AS MATERIALIZED (
    SELECT value::bigint << 40 AS base FROM setting WHERE key = 'generation'
)

-- name: new tasks
, new_task AS (
    INSERT INTO task (
        instance_id, id, name, type, state, valid, run_times, reason, next_check,
        held, kill, warned, compensates, item, eligible_at, started_at, ended_at, outputs, claim, given,
        number, infra, token, session, worker, attempt_state, confirmed, ref, cause, class,
        exit_code, refused, granted_at, attempt_started_at, beat_at, attempt_ended_at, cpu_used, memory_peak)
    SELECT
        instance_id, id, name, type, state, valid, run_times, reason, next_check,
        held, kill, warned, compensates, item, eligible_at, started_at, ended_at, outputs, claim, given,
        number, infra, CASE WHEN granted THEN base + nextval('baton_token') ELSE token END,
        session, worker, attempt_state, confirmed, ref, cause, class,
        exit_code, refused, granted_at, attempt_started_at, beat_at, attempt_ended_at, cpu_used, memory_peak
    FROM generation, unnest(
        ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::smallint[], ?::bool[], ?::int[], ?::text[], ?::bigint[],
        ?::bool[], ?::smallint[], ?::smallint[], ?::bigint[], ?::int[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::bool[],
        ?::int[], ?::int[], ?::bigint[], ?::bigint[], ?::text[], ?::smallint[], ?::bool[], ?::text[], ?::text[], ?::text[],
        ?::int[], ?::bool[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bool[]
    ) AS u (instance_id, id, name, type, state, valid, run_times, reason, next_check,
        held, kill, warned, compensates, item, eligible_at, started_at, ended_at, outputs, claim, given,
        number, infra, token, session, worker, attempt_state, confirmed, ref, cause, class,
        exit_code, refused, granted_at, attempt_started_at, beat_at, attempt_ended_at, cpu_used, memory_peak, granted)
    WHERE (instance_id IN (SELECT id FROM gate)) IS TRUE
    RETURNING id, token
)

-- name: tasks
-- Changed tasks, with the states each may come from. A row in another state means that memory
-- and database disagree: counted below, and nothing is written.
, wanted AS MATERIALIZED (
    SELECT * FROM unnest(
        ?::bigint[], ?::bigint[], ?::int[], ?::smallint[], ?::bool[], ?::text[], ?::bigint[],
        ?::bool[], ?::smallint[], ?::smallint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::bool[],
        ?::int[], ?::int[], ?::bigint[], ?::bigint[], ?::text[], ?::smallint[], ?::bool[], ?::text[], ?::text[], ?::text[],
        ?::int[], ?::bool[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bool[]
    ) AS u (instance_id, id, sources, state, valid, reason, next_check,
        held, kill, warned, eligible_at, started_at, ended_at, outputs, claim, given,
        number, infra, token, session, worker, attempt_state, confirmed, ref, cause, class,
        exit_code, refused, granted_at, attempt_started_at, beat_at, attempt_ended_at, cpu_used, memory_peak, granted)
    WHERE (instance_id IN (SELECT id FROM gate)) IS TRUE
), set_task AS (
    UPDATE task t SET
        state = u.state, valid = u.valid, reason = u.reason, next_check = u.next_check,
        held = u.held, kill = u.kill, warned = u.warned, eligible_at = u.eligible_at,
        started_at = u.started_at, ended_at = u.ended_at, outputs = u.outputs,
        claim = u.claim, given = u.given,
        number = u.number, infra = u.infra,
        token = CASE WHEN u.granted THEN g.base + nextval('baton_token') ELSE u.token END,
        session = u.session, worker = u.worker, attempt_state = u.attempt_state,
        confirmed = u.confirmed, ref = u.ref, cause = u.cause, class = u.class,
        exit_code = u.exit_code, refused = u.refused, granted_at = u.granted_at,
        attempt_started_at = u.attempt_started_at, beat_at = u.beat_at, attempt_ended_at = u.attempt_ended_at,
        cpu_used = u.cpu_used, memory_peak = u.memory_peak
    FROM generation g
    CROSS JOIN wanted u
    CROSS JOIN LATERAL (
        SELECT x.ctid AS at FROM task x WHERE x.instance_id = u.instance_id AND x.id = u.id OFFSET 0) AS row
    WHERE t.ctid = row.at AND (u.sources >> t.state) & 1 = 1
    RETURNING t.id, t.token, u.granted
)

-- name: past
, past AS (
    INSERT INTO attempt (
        instance_id, task_id, number, infra, token, session, worker, state, confirmed, ref, cause, class,
        exit_code, refused, granted_at, started_at, beat_at, ended_at, cpu_used, memory_peak)
    SELECT u.*
    FROM unnest(
        ?::bigint[], ?::bigint[], ?::int[], ?::int[], ?::bigint[], ?::bigint[], ?::text[], ?::smallint[], ?::bool[], ?::text[], ?::text[], ?::text[],
        ?::int[], ?::bool[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]) AS u (instance_id)
    WHERE (u.instance_id IN (SELECT id FROM gate)) IS TRUE
)

-- name: inbox
, consumed AS (
    UPDATE inbox b SET
        state = u.state, payload = '', verb = u.verb, reason = u.reason, given_by = u.given_by, settled_at = u.settled_at
    FROM unnest(?::bigint[], ?::bigint[], ?::smallint[], ?::text[], ?::text[], ?::text[], ?::bigint[])
        AS u (id, instance_id, state, verb, reason, given_by, settled_at)
    CROSS JOIN LATERAL (
        SELECT x.ctid AS at FROM inbox x WHERE x.id = u.id AND x.instance_id = u.instance_id OFFSET 0) AS row
    WHERE b.ctid = row.at AND b.state = 0
        AND (u.instance_id IN (SELECT id FROM gate)) IS TRUE
)

-- name: alerts
, alerts AS (
    INSERT INTO alert (id, kind, project_id, instance_id, task, workflow, message, created_at)
    SELECT u.id, u.kind, u.project_id, u.instance_id, u.task, u.workflow, u.message, u.created_at
    FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[])
        AS u (changed, id, kind, project_id, instance_id, task, workflow, message, created_at)
    WHERE (u.changed IN (SELECT id FROM gate)) IS TRUE
)

-- name: commands
-- Runs that these begin.
, begun AS (
    INSERT INTO command (id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
    SELECT u.id, u.project_id, u.workflow_id, u.version, u.priority, u.key, u.start, u.zone, u.trigger, u.data_time, u.dry_run, u.submitted_at
    FROM unnest(
        ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::int[], ?::smallint[], ?::text[], ?::text[], ?::text[], ?::smallint[], ?::bigint[],
        ?::bool[], ?::bigint[]) AS u (changed, id, project_id, workflow_id, version, priority, key, start, zone, trigger, data_time, dry_run, submitted_at)
    WHERE (u.changed IN (SELECT id FROM gate)) IS TRUE
    RETURNING id
)

-- name: news
-- What other runs are told, those that are still there.
, told AS (
    INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at)
    SELECT u.id, u.instance_id, u.kind, u.dedup, u.payload, u.created_at
    FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[])
        AS u (changed, id, instance_id, kind, dedup, payload, created_at)
    WHERE (u.changed IN (SELECT id FROM gate)) IS TRUE
        AND (EXISTS (SELECT 1 FROM instance x WHERE x.id = u.instance_id) OR EXISTS (SELECT 1 FROM command x WHERE x.id = u.instance_id))
    ON CONFLICT (dedup) DO NOTHING
)

-- name: news for begun
-- The same, where runs are begun: this statement does not see the commands that it writes.
, told AS (
    INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at)
    SELECT u.id, u.instance_id, u.kind, u.dedup, u.payload, u.created_at
    FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[])
        AS u (changed, id, instance_id, kind, dedup, payload, created_at)
    WHERE (u.changed IN (SELECT id FROM gate)) IS TRUE
        AND (EXISTS (SELECT 1 FROM instance x WHERE x.id = u.instance_id) OR EXISTS (SELECT 1 FROM command x WHERE x.id = u.instance_id)
            OR (u.instance_id IN (SELECT id FROM begun)) IS TRUE)
    ON CONFLICT (dedup) DO NOTHING
)

-- name: follows
-- What rows are told of from now on.
, followed AS (
    INSERT INTO follow (workflow_id, row_id, task, from_time, to_time, instance_id)
    SELECT u.workflow_id, u.row_id, u.task, u.from_time, u.to_time, u.instance_id
    FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[])
        AS u (workflow_id, row_id, task, from_time, to_time, instance_id)
    WHERE (u.instance_id IN (SELECT id FROM gate)) IS TRUE
    ON CONFLICT DO NOTHING
)

-- name: unfollow
, unfollowed AS (
    DELETE FROM follow WHERE row_id = ANY (?::bigint[]) AND (instance_id IN (SELECT id FROM gate)) IS TRUE
)

-- name: endings
-- Who follows what ends here is told: of the end of a task those who follow it, of the end of a run all who follow a task
-- of it too, each by its own index. Ids as storeID makes them, and no conflict is passed over: they do not repeat.
, heard AS (
    INSERT INTO inbox (id, instance_id, kind, dedup, payload, created_at)
    SELECT told.id, told.instance_id, 'upstream', 'news:' || told.id, '{"row":"' || told.row_id || '"}', told.now
    FROM (
        SELECT f.row_id, f.instance_id, f.now,
            ((f.now / 1000 - 1735689600000) >> 7 << 29) | ((f.token >> 12 & 127) << 22) | 4190208 | (f.token & 4095) AS id
        FROM (
            SELECT f.row_id, f.instance_id, baton_now() AS now, nextval('baton_token') AS token
            FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[]) AS u (changed, workflow_id, task, data_time)
            CROSS JOIN LATERAL (
                SELECT x.row_id, x.instance_id FROM follow x
                WHERE u.task = '' AND x.workflow_id = u.workflow_id AND x.from_time <= u.data_time AND x.to_time > u.data_time
                UNION ALL
                SELECT x.row_id, x.instance_id FROM follow x
                WHERE u.task <> '' AND x.workflow_id = u.workflow_id AND x.task = u.task AND x.from_time <= u.data_time AND x.to_time > u.data_time
                OFFSET 0) AS f
            WHERE (u.changed IN (SELECT id FROM gate)) IS TRUE
            OFFSET 0) AS f
        OFFSET 0) AS told
    RETURNING instance_id
)

-- name: marks
-- Triggers that wait for what ends here.
, marked AS (
    INSERT INTO trigger_mark (trigger_id, source, instance_id, seq, state, data_time, ended_at)
    SELECT w.trigger_id, w.source, u.changed, u.seq, u.state, u.data_time, u.ended_at
    FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::smallint[], ?::bigint[], ?::bigint[])
        AS u (changed, seq, workflow_id, state, data_time, ended_at)
    CROSS JOIN LATERAL (
        SELECT x.trigger_id, x.source FROM trigger_watch x
        WHERE x.project = (SELECT p.name FROM project p WHERE p.id = (SELECT f.project_id FROM workflow f WHERE f.id = u.workflow_id))
            AND x.workflow = (SELECT f.name FROM workflow f WHERE f.id = u.workflow_id)
            AND (x.states >> u.state::int) & 1 = 1 OFFSET 0) AS w
    WHERE (u.changed IN (SELECT id FROM gate)) IS TRUE
    ON CONFLICT DO NOTHING
    RETURNING trigger_id
)

-- name: claims
-- What its tasks ask of pools. The rows of pools are not touched: who gives slots counts what is here.
, claimed AS (
    INSERT INTO pool_claim (id, instance_id, task_id, project_id, pool, key, slots, priority, created_at)
    SELECT u.id, u.instance_id, u.task_id, u.project_id, u.pool, u.key, u.slots, u.priority, u.created_at
    FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::int[], ?::smallint[], ?::bigint[])
        AS u (instance_id, id, task_id, project_id, pool, key, slots, priority, created_at)
    WHERE (u.instance_id IN (SELECT id FROM gate)) IS TRUE
)

-- name: unclaims
-- Who gives slots may hold the row: the array is of this statement's beginning, so the row is still met when it is free.
, unclaimed AS (
    DELETE FROM pool_claim WHERE id = ANY (?::bigint[]) AND (instance_id = ANY (ARRAY(SELECT id FROM gate))) IS TRUE
)

-- name: end
-- What happened: 0 the incarnation is alive (and whether a trigger waits for ends), 1 an instance was written, 2 a token
-- was given, 4 a follower was told, 5 a trigger was marked.
SELECT 0::smallint AS kind, owner AS id, watched::int::bigint AS token FROM live
UNION ALL SELECT 1::smallint, id, 0 FROM gate

-- name: end new tasks
UNION ALL SELECT 2::smallint, id, token FROM new_task

-- name: end tasks
UNION ALL SELECT 2::smallint, id, token FROM set_task WHERE granted
UNION ALL SELECT 3::smallint, 0, baton_refuse('a task is not in a state from which its new one may be reached')
    WHERE (SELECT count(*) FROM wanted) <> (SELECT count(*) FROM set_task)

-- name: end endings
UNION ALL SELECT 4::smallint, instance_id, 0 FROM heard

-- name: end marks
UNION ALL SELECT 5::smallint, trigger_id, 0 FROM marked
