// Pools: as files and verbs say them, and who holds or waits for their slots.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

const (
	// claimsShown bounds the holders that are read to explain what a task waits for, and those that wait.
	claimsShown = 500
	// waitsShown bounds the waiting claims of one run that are explained.
	waitsShown = 100
)

// keptPool is a pool as the store has it.
type keptPool struct {
	id                  flow.ID
	body                string
	slots               int
	closed              bool
	slotsSet, closedSet bool
}

// applyPool makes a pool what its file says. What a verb said of it stays, unless it is to be reset.
func (db *DB) applyPool(ctx context.Context, q querier, p *flow.Pool, reset bool) (flow.Applied, error) {
	out := flow.Applied{Kind: "Pool", Project: p.Project, Name: p.Name, Change: "updated"}
	body, err := json.Marshal(p)
	if err != nil {
		return out, err
	}
	project, _, err := db.ensureProject(ctx, q, p.Project)
	if err != nil {
		return out, err
	}
	have, err := one(ctx, db, q, func(s scanner) (k keptPool, err error) {
		return k, s.Scan(&k.id, &k.body, &k.slots, &k.closed, &k.slotsSet, &k.closedSet)
	}, "SELECT id, body, slots, closed, slots_set, closed_set FROM pool WHERE project_id = $1 AND name = $2 FOR UPDATE", project, p.Name)
	if errors.Is(err, sql.ErrNoRows) {
		out.Change = "created"
		_, err = exec(ctx, db, q, "INSERT INTO pool (project_id, name, body, slots, closed) VALUES ($1, $2, $3, $4, $5)", project, p.Name, string(body), p.Slots, p.Closed)
		return out, err
	}
	if err != nil {
		return out, err
	}
	reset = reset && (have.slotsSet || have.closedSet)
	if sameJSON([]byte(have.body), body) && !reset {
		out.Change = "unchanged"
		return out, nil
	}
	now := keptPool{slots: p.Slots, closed: p.Closed}
	if have.slotsSet && !reset {
		now.slots, now.slotsSet = have.slots, true
	}
	if have.closedSet && !reset {
		now.closed, now.closedSet = have.closed, true
	}
	_, err = exec(ctx, db, q, "UPDATE pool SET body = $2, slots = $3, closed = $4, slots_set = $5, closed_set = $6 WHERE id = $1",
		have.id, string(body), now.slots, now.closed, now.slotsSet, now.closedSet)
	return out, err
}

// checkPools refuses tasks whose pool does not exist, and those that could never have what they ask for.
func (db *DB) checkPools(ctx context.Context, q querier, project flow.ID, w *flow.Workflow) (flow.RefusedErrors, error) {
	pooled := func(t flow.Task) bool { return t.Work().Pool != nil }
	if !slices.ContainsFunc(w.Tasks, pooled) && !slices.ContainsFunc(w.Finally, pooled) {
		return nil, nil
	}
	have := map[string]int{}
	var names []string
	pools, err := all(ctx, db, q, func(s scanner) (p flow.PoolRow, err error) { return p, s.Scan(&p.Name, &p.Slots, jsonOf(&p.File)) },
		"SELECT name, slots, body FROM pool WHERE project_id = $1 ORDER BY name", project)
	if err != nil {
		return nil, err
	}
	var refused flow.RefusedErrors
	for _, p := range pools {
		names = append(names, p.Name)
		have[p.Name] = max(p.Slots, p.File.Slots) // a verb may have made it smaller for a while
	}
	for under, t := range w.AllTasks() {
		pool, path := t.Work().Pool, []string{under, t.Name, "pool"}
		if pool == nil {
			continue
		}
		if t.Inner != nil {
			path = []string{under, t.Name, "with", "task", "pool"}
		}
		field := strings.Join(path, ".")
		slots, known := have[pool.Name]
		switch {
		case !known:
			e := flow.Errorf(flow.CodeBadRequest, field, "task %s: project %s has no pool %q; apply it first, or in the same file", t.Name, w.Project, pool.Name)
			if e.Suggestion = flow.Nearest(pool.Name, names); e.Suggestion != "" {
				e.Message += `; did you mean "` + e.Suggestion + `"?`
			}
			refused = append(refused, flow.Refusal{Path: path, Error: e})
		case pool.Takes() > slots && slots > 0: // one without slots is as if it were closed
			e := flow.Errorf(flow.CodeBadRequest, field, "task %s asks for %s of pool %s, which has %d: it would wait for ever", t.Name, flow.CountSlots(pool.Takes()), pool.Name, slots)
			refused = append(refused, flow.Refusal{Path: path, Error: e})
		}
	}
	return refused, nil
}

const poolRowSQL = `
	SELECT p.id, j.name, p.name, p.body, p.slots, p.closed, p.slots_set, p.closed_set,
		(SELECT CAST(COALESCE(sum(c.slots), 0) AS BIGINT) FROM pool_claim c WHERE c.project_id = p.project_id AND c.pool = p.name AND c.given_at > 0),
		(SELECT count(*) FROM pool_claim c WHERE c.project_id = p.project_id AND c.pool = p.name AND c.given_at = 0)
	FROM pool p JOIN project j ON j.id = p.project_id `

func scanPoolRow(s scanner) (flow.PoolRow, error) {
	var p flow.PoolRow
	var project, name string
	var slots int
	var closed bool
	err := s.Scan(&p.ID, &project, &name, jsonOf(&p.File), &slots, &closed, &p.SlotsSet, &p.ClosedSet, &p.Used, &p.Waiting)
	p.Pool = flow.Pool{Project: project, Name: name, Description: p.File.Description, Slots: slots, Closed: closed}
	return p, err
}

// Pools lists the pools of a project, or of all, by name, each with so many of those that hold slots of it, and as
// many of those that wait for some.
func (db *DB) Pools(ctx context.Context, project string, claims int) ([]flow.PoolStanding, error) {
	rows, err := all(ctx, db, db.read(forAPI), scanPoolRow, poolRowSQL+"WHERE $1 = '' OR j.name = $1 ORDER BY j.name, p.name", project)
	if err != nil {
		return nil, db.wrap("read pools", err)
	}
	out := make([]flow.PoolStanding, len(rows))
	for i, row := range rows {
		if out[i], err = db.standing(ctx, row, claims); err != nil {
			return nil, db.wrap("read pools", err)
		}
	}
	return out, nil
}

// Pool reads a pool with those that hold slots of it and those that wait for some.
func (db *DB) Pool(ctx context.Context, project, name string, claims int) (flow.PoolStanding, error) {
	row, err := one(ctx, db, db.read(forAPI), scanPoolRow, poolRowSQL+"WHERE j.name = $1 AND p.name = $2", project, name)
	if err != nil {
		return flow.PoolStanding{}, db.wrap("read pool", db.noPool(ctx, err, project, name))
	}
	out, err := db.standing(ctx, row, claims)
	return out, db.wrap("read pool", err)
}

// standing reads who holds slots of a pool and who waits for some.
func (db *DB) standing(ctx context.Context, row flow.PoolRow, n int) (flow.PoolStanding, error) {
	out := flow.PoolStanding{PoolRow: row}
	if n == 0 {
		return out, nil
	}
	const of = "c.project_id = (SELECT project_id FROM pool WHERE id = $1) AND c.pool = (SELECT name FROM pool WHERE id = $1)"
	var err error
	if row.Used > 0 {
		if out.Holders, err = db.claims(ctx, of+" AND c.given_at > 0 ORDER BY c.given_at, c.id LIMIT $2", row.ID, n); err != nil {
			return out, err
		}
	}
	if row.Waiting == 0 {
		return out, nil
	}
	if out.Waiters, err = db.claims(ctx, of+" AND c.given_at = 0 ORDER BY c.key, c.priority, c.created_at, c.id LIMIT $2", row.ID, n); err != nil {
		return out, err
	}
	now, err := db.clockNow(ctx)
	inOrder(out.Waiters, now)
	return out, err
}

// noPool says which pool was perhaps meant.
func (db *DB) noPool(ctx context.Context, err error, project, name string) error {
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	names, err := all(ctx, db, db.read(forAPI), scalar[string], "SELECT p.name FROM pool p JOIN project j ON j.id = p.project_id WHERE j.name = $1 ORDER BY p.name", project)
	if err != nil {
		return err
	}
	e := flow.Errorf(flow.CodeNotFound, "pool", "project %s has no pool %q", project, name)
	if e.Suggestion = flow.Nearest(name, names); e.Suggestion != "" {
		e.Message += `; did you mean "` + e.Suggestion + `"?`
	}
	return e
}

func (db *DB) clockNow(ctx context.Context) (flow.Time, error) {
	return one(ctx, db, db.read(forAPI), scalar[flow.Time], "SELECT baton_now()")
}

// claims reads claims with the names of their tasks.
func (db *DB) claims(ctx context.Context, where string, args ...any) ([]flow.NamedClaim, error) {
	return all(ctx, db, db.read(forAPI), func(s scanner) (flow.NamedClaim, error) {
		var c flow.NamedClaim
		err := s.Scan(append(claimFields(&c.Claim), &c.GivenAt, &c.TaskName)...)
		return c, err
	}, "SELECT "+claimColumnsSQL+`, c.given_at,
			COALESCE((SELECT t.name FROM task t WHERE t.instance_id = c.instance_id AND t.id = c.task_id), '')
		FROM pool_claim c WHERE `+where, args...)
}

// inOrder puts those that wait in the order in which they get slots, by key, and numbers them.
func inOrder(waiting []flow.NamedClaim, now flow.Time) {
	byID := make(map[flow.ID]flow.NamedClaim, len(waiting))
	claims := make([]flow.Claim, len(waiting))
	for i, c := range waiting {
		byID[c.ID], claims[i] = c, c.Claim
	}
	flow.SortClaims(claims, now)
	slices.SortStableFunc(claims, func(a, b flow.Claim) int { return a.Compare(b.PoolKey) })
	for i, c := range claims {
		waiting[i] = byID[c.ID]
		waiting[i].Position = 1
		if i > 0 && waiting[i-1].PoolKey == c.PoolKey {
			waiting[i].Position = waiting[i-1].Position + 1
		}
	}
}

// SetPool has a pool be as a person says, whatever its file says: how many slots it has, whether it is closed. nil
// leaves it alone.
func (db *DB) SetPool(ctx context.Context, project, name string, slots *int, closed *bool) error {
	err := db.write(ctx, forAPI, func(q querier) error {
		id, err := one(ctx, db, q, scanID, `
			SELECT p.id FROM pool p WHERE p.project_id = (SELECT id FROM project WHERE name = $1) AND p.name = $2 FOR UPDATE`, project, name)
		if err == nil && slots != nil {
			_, err = exec(ctx, db, q, "UPDATE pool SET slots = $2, slots_set = TRUE WHERE id = $1", id, *slots)
		}
		if err == nil && closed != nil {
			_, err = exec(ctx, db, q, "UPDATE pool SET closed = $2, closed_set = TRUE WHERE id = $1", id, *closed)
		}
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = db.noPool(ctx, sql.ErrNoRows, project, name)
	}
	return db.wrap("set pool", err)
}

// PoolWaits tells what the tasks of a run that wait for slots wait for.
func (db *DB) PoolWaits(ctx context.Context, instance flow.ID) ([]flow.PoolWait, error) {
	mine, err := all(ctx, db, db.read(forAPI), scanClaim, "SELECT "+claimColumnsSQL+" FROM pool_claim c WHERE c.instance_id = $1 AND c.given_at = 0 ORDER BY c.id LIMIT $2", instance, waitsShown)
	if err != nil || len(mine) == 0 {
		return nil, db.wrap("read what waits for pools", err)
	}
	now, err := db.clockNow(ctx)
	if err != nil {
		return nil, db.wrap("read what waits for pools", err)
	}
	looked := map[flow.PoolKey]flow.PoolWait{}
	lines := map[flow.PoolKey][]flow.NamedClaim{}
	var out []flow.PoolWait
	for _, c := range mine {
		w, known := looked[c.PoolKey]
		if !known {
			if w, lines[c.PoolKey], err = db.poolWait(ctx, c.PoolKey, now); err != nil {
				return nil, db.wrap(fmt.Sprintf("read who holds slots of pool %s", c.Pool), err)
			}
			looked[c.PoolKey] = w
		}
		w.Claim, w.Before = c, len(lines[c.PoolKey])
		if i := slices.IndexFunc(lines[c.PoolKey], func(n flow.NamedClaim) bool { return n.ID == c.ID }); i >= 0 {
			w.Before = i
		}
		out = append(out, w)
	}
	return out, nil
}

// poolWait reads what all that wait for a key wait for, and the line of them.
func (db *DB) poolWait(ctx context.Context, key flow.PoolKey, now flow.Time) (w flow.PoolWait, line []flow.NamedClaim, err error) {
	pool, err := one(ctx, db, db.read(forAPI), func(s scanner) (p flow.Pool, err error) { return p, s.Scan(&p.Name, &p.Slots, &p.Closed) },
		"SELECT name, slots, closed FROM pool WHERE project_id = $1 AND name = $2", key.Project, key.Pool)
	if err == nil {
		w.Pool = &pool
	} else if !errors.Is(err, sql.ErrNoRows) {
		return w, nil, err
	}
	const of = "c.project_id = $1 AND c.pool = $2 AND c.key = $3"
	if w.Holders, err = db.claims(ctx, of+" AND c.given_at > 0 ORDER BY c.given_at, c.id LIMIT $4", key.Project, key.Pool, key.Key, claimsShown); err != nil {
		return w, nil, err
	}
	for _, h := range w.Holders {
		w.Held += h.Slots
	}
	line, err = db.claims(ctx, of+" AND c.given_at = 0 ORDER BY c.priority, c.created_at, c.id LIMIT $4", key.Project, key.Pool, key.Key, claimsShown)
	inOrder(line, now)
	return w, line, err
}
