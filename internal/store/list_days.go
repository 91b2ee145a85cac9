// Lists by data time. Runs are listed by age, and a range of data times may lie anywhere in it: a
// walk from the newest run could read everything before it comes to the range, and a walk through
// the range could read all of it. But within one day of data times an index has runs by age, so
// that a page is a merge of as many streams as the range has days, and most of these need not be
// read: one look at each tells its newest run, and a day whose newest run is older than a full page
// of runs found elsewhere has nothing to show.

package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"baton/internal/flow"
)

const (
	// dayLength divides data times into days, here as in the indexes. It rounds towards zero.
	dayLength = 86_400_000_000
	day       = "c.data_time / 86400000000"
	// fewRuns is how many entries of an index it is no matter to read; fewInState the same where the
	// other way has to look at each row, because the indexes by day do not know states.
	fewRuns    = 5_000
	fewInState = 20_000
	// recentRuns is how many of the newest runs are looked at before the days of a long range.
	recentRuns = 2000
	// manyDays is from where on a range is long.
	manyDays = 62
	// mostDays bounds the streams of one statement.
	mostDays = 64
)

// byDataTime reads matching runs whose data times are in a range, in the cheapest of three ways.
func (s *search) byDataTime(ctx context.Context) ([]flow.Run, error) {
	if s.db.byDayOnly {
		return s.byDay(ctx)
	}
	few, err := s.few(ctx)
	if err != nil {
		return nil, err
	}
	if few {
		return s.byAge(ctx)
	}
	if s.DataTo == 0 || s.DataTo-s.DataFrom > manyDays*dayLength {
		runs, err := s.recent(ctx)
		if err != nil || len(runs) > s.limit {
			return runs, err
		}
	}
	return s.byDay(ctx)
}

// recent reads matching runs among the newest ones: if they fill the page, the days need not be
// looked through.
func (s *search) recent(ctx context.Context) ([]flow.Run, error) {
	recent := *s
	lower, err := all(ctx, s.db, s.db.read(byKey), scanID,
		"SELECT id FROM instance WHERE id < $1 AND id > $2 ORDER BY id DESC LIMIT 1 OFFSET "+fmt.Sprint(recentRuns), s.upper, s.lower)
	if err != nil {
		return nil, err
	}
	for _, id := range lower {
		recent.lower = id
	}
	return recent.byAge(ctx)
}

// few tells whether few runs match the filter, its times left aside. Then the streams by state
// and trigger may be read to their end.
func (s *search) few(ctx context.Context) (bool, error) {
	if s.plain() {
		return false, nil
	}
	states, most := s.states, fewRuns
	if len(states) > 0 && !slices.Contains(states, flow.InstanceSucceeded) { // most runs succeed
		most = fewInState
	}
	if len(s.triggers) > 0 {
		states = or(states, everyState) // the indexes have state before trigger
	}
	var args arguments
	n, err := one(ctx, s.db, s.db.read(byKey), scalar[int], `
		SELECT count(*) FROM (
			SELECT 1 AS found FROM instance c
			WHERE `+s.scope(&args)+in("c.state", states)+in(s.triggerColumn(), s.triggers)+`
			LIMIT `+fmt.Sprint(most+1)+`) AS few`, args...)
	return err == nil && n <= most, err
}

// dayStream is the runs of a day of data times, of one workflow or of one trigger.
type dayStream struct {
	key    [2]int64 // workflow and day, or day and trigger: what its index begins with
	newest flow.ID  // nothing in it is newer
}

func scanDay(s scanner) (dayStream, error) {
	var d dayStream
	err := s.Scan(&d.key[0], &d.key[1], &d.newest)
	return d, err
}

// byDay reads matching runs: first their ids, then the rows of one page.
func (s *search) byDay(ctx context.Context) ([]flow.Run, error) {
	query, args := s.days()
	streams, err := all(ctx, s.db, s.db.read(byKey), scanDay, query, args...)
	if err != nil {
		return nil, err
	}
	ids, err := s.newestOf(ctx, streams)
	if err != nil {
		return nil, err
	}
	return s.byIDs(ctx, ids)
}

// days is the query for the streams of the range, from the last day with runs to the first, each
// found by one look into an index. An empty stream's newest is 0.
func (s *search) days() (query string, args arguments) {
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if s.DataFrom != 0 {
		from = int64(s.DataFrom)
	}
	if s.DataTo != 0 {
		to = int64(s.DataTo)
	}
	first, last := args.add(from/dayLength), args.add(to/dayLength)
	lastDay := func(where string) string {
		return "(SELECT max(" + day + ") FROM instance c WHERE " + where + " AND " + day + " >= " + first + ")"
	}
	newest := func(where string) string {
		return "COALESCE((SELECT c.id FROM instance c WHERE " + where + s.between(&args, "c.id + 0") + " ORDER BY c.id + 0 DESC LIMIT 1), 0)"
	}
	if s.workflows != nil {
		const of = "c.workflow_id = d.workflow AND " + day
		query = `
		WITH RECURSIVE days (workflow, day) AS (
			SELECT d.workflow, ` + lastDay(of+" <= "+last) + `
			FROM (SELECT w.id AS workflow FROM workflow w WHERE w.id = ANY(` + args.add(s.db.list(s.workflows)) + `)) d
			UNION ALL
			SELECT d.workflow, ` + lastDay(of+" < d.day") + ` FROM days d WHERE d.day IS NOT NULL)
		SELECT d.workflow, d.day, ` + newest(of+" = d.day") + ` FROM days d WHERE d.day IS NOT NULL`
		return query, args
	}
	var codes []string
	for _, code := range or(s.triggers, everyTrigger) {
		codes = append(codes, fmt.Sprintf("SELECT %d AS code", code))
	}
	query = `
		WITH RECURSIVE days (day) AS (
			SELECT ` + lastDay(day+" <= "+last) + `
			UNION ALL
			SELECT ` + lastDay(day+" < d.day") + ` FROM days d WHERE d.day IS NOT NULL)
		SELECT d.day, t.code, ` + newest(day+" = d.day AND c.trigger = t.code") + `
		FROM days d CROSS JOIN (` + strings.Join(codes, " UNION ALL ") + `) t WHERE d.day IS NOT NULL`
	return query, args
}

// newestOf reads the newest matching ids of streams, and no more of these than it needs to know
// that nothing newer is left.
func (s *search) newestOf(ctx context.Context, streams []dayStream) ([]flow.ID, error) {
	slices.SortFunc(streams, func(a, b dayStream) int { return cmp.Compare(b.newest, a.newest) })
	var ids []flow.ID
	rest := *s
	for n := 4; ; n = min(2*n, mostDays) {
		if len(ids) > s.limit {
			rest.lower = max(rest.lower, ids[s.limit])
		}
		if end := slices.IndexFunc(streams, func(d dayStream) bool { return d.newest <= rest.lower }); end >= 0 {
			streams = streams[:end]
		}
		if len(streams) == 0 {
			return ids, nil
		}
		batch := streams[:min(n, len(streams))]
		streams = streams[len(batch):]
		query, args := rest.read(batch, n)
		found, err := all(ctx, s.db, s.db.read(byKey), scanID, query, args...)
		if err != nil {
			return nil, err
		}
		ids = s.page(ids, found)
	}
}

// read is the query for the newest matching ids of up to n streams. Where there are fewer, others
// that are empty take their place, so that there are few different texts, which stay prepared.
func (s *search) read(streams []dayStream, n int) (string, arguments) {
	var args arguments
	names, where := []string{"day", "trigger"}, day+" = {day} AND c.trigger = {trigger}"
	switch {
	case s.workflows != nil:
		names, where = []string{"workflow", "day"}, "c.workflow_id = {workflow} AND "+day+" = {day}"+in("c.trigger", s.triggers)
	case s.project != 0:
		where += " AND c.project_id = " + args.add(s.project)
	}
	// No index says the state like this: one by state must not look better.
	where += s.between(&args, "c.id + 0") + s.times(&args) + in("c.state + 0", s.states)
	keys := make([][]string, n)
	for i := range keys {
		key := [2]int64{} // no workflow and no trigger has this number
		if i < len(streams) {
			key = streams[i].key
		}
		for _, part := range key {
			keys[i] = append(keys[i], args.add(part))
		}
	}
	return s.merge(where, "c.id + 0", names, keys), args
}
