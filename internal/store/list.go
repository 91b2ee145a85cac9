// Lists of runs by any filter, newest first, without reading what they do not show.

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

// Instances lists runs, newest first, waiting commands among them. Commands are read first: one
// that is taken in between is then in both lists and kept once; the other way round it would be
// in neither.
func (db *DB) Instances(ctx context.Context, f flow.RunFilter) (flow.Page[flow.Run], error) {
	s, err := db.newSearch(ctx, f)
	if err == nil && s != nil {
		err = s.measure(ctx)
	}
	if err != nil || s == nil {
		return flow.Page[flow.Run]{}, db.wrap("list runs", err)
	}
	var waiting []flow.Run
	if len(f.States) == 0 || slices.Contains(f.States, flow.InstanceSubmitted) {
		if waiting, err = s.waiting(ctx); err != nil {
			return flow.Page[flow.Run]{}, db.wrap("list commands", err)
		}
	}
	runs, err := s.instances(ctx)
	if err != nil {
		return flow.Page[flow.Run]{}, db.wrap("list runs", err)
	}
	runs = append(runs, waiting...) // a run before its command
	slices.SortStableFunc(runs, func(a, b flow.Run) int { return cmp.Compare(b.ID, a.ID) })
	runs = slices.CompactFunc(runs, func(a, b flow.Run) bool { return a.ID == b.ID })
	return page(runs, s.limit, runID), nil
}

// search is a filter on its way to be a query.
type search struct {
	db     *DB
	filter flow.RunFilter
	limit  int
	// What the filter means, as conditions on columns of c, a row of instance or command.
	project, workflows string
	triggers           []int16
	bounds             string // of {id}
	rest               string // of times
	args               []any
	narrow             bool // few runs have a data time in the range asked for
}

// narrowRange is how many runs a range of data times may hold to be read whole.
const narrowRange = 5000

// measure finds out whether the range of data times is narrow.
func (s *search) measure(ctx context.Context) error {
	f := s.filter
	if f.DataFrom == 0 && f.DataTo == 0 {
		return nil
	}
	to := f.DataTo
	if to == 0 {
		to = math.MaxInt64
	}
	n, err := one(ctx, s.db, s.db.read(forAPI), scalar[int], `
		SELECT count(*) FROM (
			SELECT 1 AS found FROM instance WHERE data_time >= $1 AND data_time < $2 LIMIT $3) AS few`, f.DataFrom, to, narrowRange+1)
	s.narrow = err == nil && n <= narrowRange
	return err
}

// newSearch looks names up; nil if nothing can match.
func (db *DB) newSearch(ctx context.Context, f flow.RunFilter) (*search, error) {
	s := &search{db: db, filter: f, limit: pageLimit(f.Limit), triggers: []int16{1, 2, 3, 4, 5}}
	s.args = []any{s.limit + 1}
	switch {
	case f.Workflow != "":
		ids, err := all(ctx, db, db.read(forAPI), scanID, `
			SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id
			WHERE w.name = $1 AND ($2 = '' OR p.name = $2) ORDER BY w.id`, f.Workflow, f.Project)
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		s.workflows = s.anyOf("c.workflow_id", ids)
	case f.Project != "":
		ids, err := all(ctx, db, db.read(forAPI), scanID, "SELECT id FROM project WHERE name = $1", f.Project)
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		s.project = s.anyOf("c.project_id", ids)
	}
	if f.Trigger != "" {
		code, err := triggerCode(f.Trigger)
		if err != nil {
			return nil, err
		}
		s.triggers = []int16{code}
	}
	// Ids grow with time: a bound in time is one of ids too, and only that one is an index range.
	upper, lower := below(f.Cursor), flow.ID(0)
	if f.Until != 0 {
		upper = min(upper, firstID(f.Until.Add(idSkew)))
		s.and("c.submitted_at < %s", f.Until)
	}
	if f.Since != 0 {
		lower = firstID(f.Since.Add(-idSkew))
		s.and("c.submitted_at >= %s", f.Since)
	}
	s.bounds = fmt.Sprintf(" AND {id} < %s AND {id} > %s", s.arg(upper), s.arg(lower))
	if f.DataFrom != 0 {
		s.and("c.data_time >= %s", f.DataFrom)
	}
	if f.DataTo != 0 {
		s.and("c.data_time < %s", f.DataTo)
	}
	return s, nil
}

func (s *search) arg(v any) string {
	s.args = append(s.args, v)
	return fmt.Sprintf("$%d", len(s.args))
}

func (s *search) and(format string, v any) { s.rest += " AND " + fmt.Sprintf(format, s.arg(v)) }

func (s *search) anyOf(column string, ids []flow.ID) string {
	if len(ids) == 1 {
		return column + " = " + s.arg(ids[0])
	}
	return column + " = ANY(" + s.arg(s.db.list(ids)) + ")"
}

// in writes a list of small numbers that this program chose.
func in[T ~uint8 | ~int16](column string, values []T) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprint(int(v))
	}
	return column + " IN (" + strings.Join(parts, ", ") + ")"
}

// scope is the workflow or project asked for.
func (s *search) scope() string {
	switch {
	case s.workflows != "":
		return s.workflows
	case s.project != "":
		return s.project
	}
	return "TRUE"
}

// where is the whole filter but for state and trigger, with ids said as the index to use has
// them.
func (s *search) where(id string) string {
	return s.scope() + strings.ReplaceAll(s.bounds, "{id}", id) + s.rest
}

// waiting reads matching commands. There are few: masters take them as they come.
func (s *search) waiting(ctx context.Context) ([]flow.Run, error) {
	return all(ctx, s.db, s.db.read(forAPI), scanRun, `
		SELECT `+runColumns+` FROM (`+waitingAsInstance+`
			WHERE `+s.where("c.id")+` AND `+in("c.trigger", s.triggers)+`
			ORDER BY c.id DESC LIMIT $1) i`+runJoins+`
		ORDER BY i.id DESC`, s.args...)
}

// instances reads matching runs: first their ids, then the rows of one page.
func (s *search) instances(ctx context.Context) ([]flow.Run, error) {
	return all(ctx, s.db, s.db.read(forAPI), scanRun, `
		SELECT `+runColumns+` FROM (`+s.ids()+`) k JOIN instance i ON i.id = k.id`+runJoins+`
		ORDER BY i.id DESC`, s.args...)
}

// ids chooses one of three ways to find the newest matching rows.
func (s *search) ids() string {
	f := s.filter
	states := slices.Compact(slices.Sorted(slices.Values(f.States)))
	if len(states) == 0 {
		for st := flow.InstanceSubmitted; st <= flow.InstanceSucceeded; st++ {
			states = append(states, st)
		}
	}
	const from = "SELECT c.id FROM instance c WHERE "
	switch {
	case s.narrow:
		// The range of data times is read whole and sorted: when it is long ago, a walk from the
		// newest run would read everything before.
		return from + s.where("c.id + 0") + " AND " + in("c.state", states) + " AND " + in("c.trigger", s.triggers) +
			" ORDER BY c.id + 0 + 0 DESC LIMIT $1"
	case s.scope() == "TRUE" && len(f.States) == 0 && f.Trigger == "":
		return from + s.where("c.id") + " ORDER BY c.id DESC LIMIT $1"
	}
	return s.streams(from, states)
}

// streams merges one stream for each state and trigger, each in the order of its index.
func (s *search) streams(from string, states []flow.InstanceState) string {
	stream := from + s.where("c.id + 0") + " AND c.state = %[1]v AND c.trigger = %[2]v ORDER BY c.id + 0 DESC LIMIT $1"
	var parts []string
	for _, st := range states {
		for _, tr := range s.triggers {
			if s.db.lateral() {
				parts = append(parts, fmt.Sprintf("(%d, %d)", st, tr))
				continue
			}
			parts = append(parts, fmt.Sprintf("SELECT id FROM ("+stream+") AS s%[1]d_%[2]d", int(st), tr))
		}
	}
	if s.db.lateral() {
		return "SELECT s.id FROM (VALUES " + strings.Join(parts, ", ") + ") AS k (state, trigger) CROSS JOIN LATERAL (" +
			fmt.Sprintf(stream, "k.state", "k.trigger") + ") AS s ORDER BY s.id DESC LIMIT $1"
	}
	return "SELECT id FROM (" + strings.Join(parts, "\nUNION ALL ") + ") AS streams ORDER BY id DESC LIMIT $1"
}
