// Lists of runs by any filter, newest first, without reading what they do not show.

package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"baton/internal/flow"
)

// Instances lists runs, newest first, waiting commands among them. Commands are read first: one
// that is taken in between is then in both lists and kept once; the other way round it would be
// in neither. They come as lists show them: see listColumns.
func (db *DB) Instances(ctx context.Context, f flow.RunFilter) (flow.Page[flow.Run], error) {
	s, err := db.newSearch(ctx, f)
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

// search is a filter with its names looked up.
type search struct {
	flow.RunFilter
	db           *DB
	limit        int
	workflows    []flow.ID // of which runs may be; nil: of all, or of project
	project      flow.ID   // 0: of all
	states       []flow.InstanceState
	triggers     []int16 // codes; empty: all, as of states
	upper, lower flow.ID // ids lie between them
}

// newSearch looks names up; nil if nothing can match.
func (db *DB) newSearch(ctx context.Context, f flow.RunFilter) (*search, error) {
	s := &search{RunFilter: f, db: db, limit: pageLimit(f.Limit), states: slices.Compact(slices.Sorted(slices.Values(f.States)))}
	switch {
	case f.Workflow != "":
		ids, err := all(ctx, db, db.read(byKey), scanID, `
			SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id
			WHERE w.name = $1 AND ($2 = '' OR p.name = $2) ORDER BY w.id`, f.Workflow, f.Project)
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		s.workflows = ids
	case f.Project != "":
		ids, err := all(ctx, db, db.read(byKey), scanID, "SELECT id FROM project WHERE name = $1", f.Project)
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		s.project = ids[0]
	}
	if f.Trigger != "" {
		code, err := triggerCode(f.Trigger)
		if err != nil {
			return nil, err
		}
		s.triggers = []int16{code}
	}
	// Ids grow with time: a bound in time is one of ids too, and only that one is an index range.
	s.upper = below(f.Cursor)
	if f.Until != 0 {
		s.upper = min(s.upper, firstID(f.Until.Add(idSkew)))
	}
	if f.Since != 0 {
		s.lower = firstID(f.Since.Add(-idSkew))
	}
	return s, nil
}

// arguments of a statement in the making.
type arguments []any

func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return fmt.Sprintf("$%d", len(*a))
}

// in is a condition by small numbers that this program chose. None are no condition: a list of
// all that exist would make an index of that column look good.
func in[T ~uint8 | ~int16](column string, values []T) string {
	if len(values) == 0 {
		return ""
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprint(int(v))
	}
	return " AND " + column + " IN (" + strings.Join(parts, ", ") + ")"
}

// ofWorkflow is the workflow or the project asked for, by name, as a condition on a row that has the ids of both; "" asks
// for any.
func ofWorkflow(args *arguments, row, project, workflow string) string {
	switch {
	case workflow != "":
		return " AND " + row + ".workflow_id = ANY(ARRAY(SELECT w.id FROM workflow w JOIN project p ON p.id = w.project_id WHERE w.name = " +
			args.add(workflow) + " AND p.name = " + args.add(project) + "))"
	case project != "":
		return " AND " + row + ".project_id = ANY(ARRAY(SELECT id FROM project WHERE name = " + args.add(project) + "))"
	default:
		return ""
	}
}

// scope is the workflow or project asked for, as a condition on c, a row of instance or command.
func (s *search) scope(args *arguments) string {
	switch {
	case len(s.workflows) == 1:
		return "c.workflow_id = " + args.add(s.workflows[0])
	case s.workflows != nil:
		return "c.workflow_id = ANY(" + args.add(s.db.list(s.workflows)) + ")"
	case s.project != 0:
		return "c.project_id = " + args.add(s.project)
	}
	return "TRUE"
}

// between bounds ids, which id says as the index to use has them.
func (s *search) between(args *arguments, id string) string {
	return " AND " + id + " < " + args.add(s.upper) + " AND " + id + " > " + args.add(s.lower)
}

// times are those of the filter.
func (s *search) times(args *arguments) string {
	var text strings.Builder
	for _, c := range []struct {
		condition string
		time      flow.Time
	}{
		{"c.submitted_at >= ", s.Since},
		{"c.submitted_at < ", s.Until},
		{"c.data_time >= ", s.DataFrom},
		{"c.data_time < ", s.DataTo},
	} {
		if c.time != 0 {
			text.WriteString(" AND " + c.condition + args.add(c.time))
		}
	}
	return text.String()
}

// waiting reads matching commands. There are few: masters take them as they come.
func (s *search) waiting(ctx context.Context) ([]flow.Run, error) {
	var args arguments
	return all(ctx, s.db, s.db.read(byKey), scanListed, `
		SELECT `+listColumns+` FROM (`+waitingAsInstance+`
			WHERE `+s.scope(&args)+s.between(&args, "c.id")+s.times(&args)+in("c.trigger", s.triggers)+`
			ORDER BY c.id DESC LIMIT `+fmt.Sprint(s.limit+1)+`) i`+runJoins+`
		ORDER BY i.id DESC`, args...)
}

// instances reads matching runs.
func (s *search) instances(ctx context.Context) ([]flow.Run, error) {
	if s.DataFrom != 0 || s.DataTo != 0 {
		return s.byDataTime(ctx)
	}
	return s.byAge(ctx)
}

// byAge reads matching runs from the newest on, and may come by many in vain that match all but
// the times.
func (s *search) byAge(ctx context.Context) ([]flow.Run, error) {
	if len(s.workflows) < 2 {
		var args arguments
		ids := s.newest(&args)
		return all(ctx, s.db, s.db.read(byKey), scanListed, `
			SELECT `+listColumns+` FROM (`+ids+`) k JOIN instance i ON i.id = k.id`+runJoins+`
			ORDER BY i.id DESC`, args...)
	}
	// A name in several projects: one index range each.
	var ids []flow.ID
	single := *s
	for _, w := range s.workflows {
		var args arguments
		single.workflows = []flow.ID{w}
		query := single.newest(&args)
		found, err := all(ctx, s.db, s.db.read(byKey), scanID, query, args...)
		if err != nil {
			return nil, err
		}
		ids = s.page(ids, found)
	}
	return s.byIDs(ctx, ids)
}

// page merges ids that were found with those that were known, and keeps a page of the newest.
func (s *search) page(known, found []flow.ID) []flow.ID {
	known = append(known, found...)
	slices.SortFunc(known, func(a, b flow.ID) int { return cmp.Compare(b, a) })
	return known[:min(len(known), s.limit+1)]
}

// byIDs reads the rows of a page.
func (s *search) byIDs(ctx context.Context, ids []flow.ID) ([]flow.Run, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return all(ctx, s.db, s.db.read(byKey), scanListed, `
		SELECT `+listColumns+` FROM instance i`+runJoins+`
		WHERE i.id = ANY($1) ORDER BY i.id DESC`, s.db.list(ids))
}

// scoped tells whether the list is one of a workflow or project.
func (s *search) scoped() bool { return s.workflows != nil || s.project != 0 }

// triggerColumn is the trigger as the index of the scope has it: indexes differ in how they say
// trigger and id, so that each serves its own lists only.
func (s *search) triggerColumn() string {
	if s.scoped() {
		return "c.trigger + 0"
	}
	return "c.trigger"
}

// plain tells whether only times narrow the list: then its order is that of the primary key.
func (s *search) plain() bool {
	return !s.scoped() && len(s.states) == 0 && len(s.triggers) == 0
}

var (
	everyState = func() (states []flow.InstanceState) {
		for st := flow.InstanceSubmitted; st <= flow.InstanceSucceeded; st++ {
			states = append(states, st)
		}
		return states
	}()
	everyTrigger = func() (codes []int16) {
		for code := 1; code < len(triggers); code++ {
			codes = append(codes, int16(code))
		}
		return codes
	}()
)

// or is what was asked for, or everything.
func or[T any](asked, everything []T) []T {
	if len(asked) == 0 {
		return everything
	}
	return asked
}

// newest selects the newest matching ids: in the order of the primary key, or from one stream for
// each state and trigger, each in the order of its index.
func (s *search) newest(args *arguments) string {
	if s.plain() {
		return "SELECT c.id FROM instance c WHERE TRUE" + s.between(args, "c.id") + s.times(args) + " ORDER BY c.id DESC LIMIT " + fmt.Sprint(s.limit+1)
	}
	var keys [][]string
	for _, st := range or(s.states, everyState) {
		for _, tr := range or(s.triggers, everyTrigger) {
			keys = append(keys, []string{fmt.Sprint(int(st)), fmt.Sprint(tr)})
		}
	}
	trigger, order := s.triggerColumn(), "c.id + 0"
	if !s.scoped() {
		order = "0 + c.id"
	}
	where := s.scope(args) + s.between(args, order) + s.times(args)
	return s.merge(where+" AND c.state = {state} AND "+trigger+" = {trigger}", order, []string{"state", "trigger"}, keys)
}

// merge selects the newest ids of several streams: runs that match a condition in which {name}
// stands for something else in each, in an order that one index has. The limit is in its text, because PostgreSQL sorts rather
// than follows an index when it does not know how few are asked for.
func (s *search) merge(where, order string, names []string, keys [][]string) string {
	limit := fmt.Sprint(s.limit + 1)
	stream := func(values []string) string {
		text := where
		for i, name := range names {
			text = strings.ReplaceAll(text, "{"+name+"}", values[i])
		}
		return "SELECT c.id FROM instance c WHERE " + text + " ORDER BY " + order + " DESC LIMIT " + limit
	}
	parts := make([]string, len(keys))
	if !s.db.lateral() {
		for i, key := range keys {
			parts[i] = "SELECT id FROM (" + stream(key) + ")"
		}
		return "SELECT id FROM (" + strings.Join(parts, "\nUNION ALL ") + ") ORDER BY id DESC LIMIT " + limit
	}
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = "k." + name
	}
	for i, key := range keys {
		parts[i] = "(CAST(" + strings.Join(key, " AS BIGINT), CAST(") + " AS BIGINT))"
	}
	return "SELECT s.id FROM (VALUES " + strings.Join(parts, ", ") + ") AS k (" + strings.Join(names, ", ") +
		") CROSS JOIN LATERAL (" + stream(columns) + ") AS s ORDER BY s.id DESC LIMIT " + limit
}
