// Schedules that are due by the thousand, and an onlooker who sees when what is due of them is committed.

package product

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Timetable is a number of schedules, spread over workflows of one task that does nothing.
type Timetable struct {
	Name  string // with which its workflows' names begin
	N     int
	Every int       // seconds: schedule k is due when the second since 1970 leaves k divided by it
	At    time.Time // or all of them once, in this second
}

// perFlow is how many schedules a workflow may have.
const perFlow = 1000

func (t Timetable) flows() (flows []Flow) {
	for first := 0; first < t.N; first += perFlow {
		f := Chain(fmt.Sprintf("%s%d", t.Name, first/perFlow), 1)
		for k := first; k < min(first+perFlow, t.N); k++ {
			if t.Every == 0 {
				f.Schedules = append(f.Schedules, fmt.Sprintf("{at: %s}", t.At.UTC().Format(time.RFC3339)))
				continue
			}
			start := time.Unix(int64(k%t.Every), 0).UTC().Format(time.RFC3339)
			f.Schedules = append(f.Schedules, fmt.Sprintf("{every: %ds, start: %s}", t.Every, start))
		}
		flows = append(flows, f)
	}
	return flows
}

// due is how many of its times are in [from, to), which are whole seconds.
func (t Timetable) due(from, to time.Time) int {
	if t.Every == 0 {
		return t.N
	}
	n := 0
	for s := from.Unix(); s < to.Unix(); s++ {
		n += t.N / t.Every
		if int(s%int64(t.Every)) < t.N%t.Every {
			n++
		}
	}
	return n
}

// Plan applies a timetable, a workflow a request, and returns how long each took.
func (s *Server) Plan(ctx context.Context, t Timetable) (took []float64, err error) {
	flows := t.flows()
	for _, f := range flows {
		at := time.Now()
		if err := s.Apply(ctx, "default", f); err != nil {
			return took, err
		}
		took = append(took, float64(time.Since(at).Microseconds()))
	}
	return took, nil
}

// Planned waits until the server knows of each schedule when it is due next.
func (s *Server) Planned(ctx context.Context) error {
	until := time.Now().Add(patience)
	for left := 1; left > 0; {
		if err := s.Rows.QueryRowContext(ctx, "SELECT count(*) FROM timing WHERE nominal_time = 0 AND next_at > 0").Scan(&left); err != nil {
			return fmt.Errorf("count what is not planned: %w", err)
		}
		if time.Now().After(until) {
			return fmt.Errorf("%d schedules have no next time after %s", left, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// Suspend has no schedule of a timetable fire any more.
func (s *Server) Suspend(ctx context.Context, t Timetable) error {
	flows := t.flows()
	for _, f := range flows {
		if err := s.do(ctx, http.MethodPost, "/projects/default/workflows/"+f.Name+"/schedules/disable", nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Fired is what became of the times of a timetable; all are µs since they were due.
type Fired struct {
	Result
	Ordered []float64 // until the fate of the time and the order to start a run were committed
	Shown   []float64 // until the run itself was committed
	Decided []float64 // by the clock of the master that decided
	Begun   []float64 // by the clock of the worker that began the first task
}

// onlooker sees rows soon after they are committed. Ids of rows that are committed at about the same time are
// about the same, so it asks for those above what it saw a while ago.
type onlooker struct {
	s        *Server
	from, to int64 // µs
	behind   time.Duration
	floors   []floor
	seen     [2]map[int64]bool
	late     [2][]float64
}

type floor struct {
	at  time.Time
	ids [2]int64
}

const (
	glance = 5 * time.Millisecond
	// behind is how much later a row may be committed than one with a greater id.
	behind = 250 * time.Millisecond
)

func (s *Server) onlooker(ctx context.Context, from, to time.Time) (*onlooker, error) {
	o := &onlooker{s: s, behind: behind, from: from.UnixMicro(), to: to.UnixMicro(), seen: [2]map[int64]bool{{}, {}}}
	f := floor{at: time.Now()}
	err := s.Rows.QueryRowContext(ctx, "SELECT (SELECT coalesce(max(id), 0) FROM fire), (SELECT coalesce(max(id), 0) FROM instance)").Scan(&f.ids[0], &f.ids[1])
	if err != nil {
		return nil, fmt.Errorf("newest rows: %w", err)
	}
	o.floors = append(o.floors, f)
	return o, nil
}

func (o *onlooker) look(ctx context.Context) (err error) {
	top := o.floors[len(o.floors)-1]
	for len(o.floors) > 1 && time.Since(o.floors[1].at) > o.behind {
		o.floors = o.floors[1:]
	}
	low := o.floors[0].ids
	rows, err := o.s.Rows.QueryContext(ctx, `
		SELECT 0, id, nominal_time FROM fire WHERE id > $1 AND state = 1
		UNION ALL SELECT 1, id, data_time FROM instance WHERE id > $2`, low[0], low[1])
	if err != nil {
		return fmt.Errorf("look at what is fired: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var fresh [2][]int64 // times
	for rows.Next() {
		var kind int
		var id, at int64
		if err := rows.Scan(&kind, &id, &at); err != nil {
			return fmt.Errorf("look at what is fired: %w", err)
		}
		top.ids[kind] = max(top.ids[kind], id)
		if !o.seen[kind][id] && at >= o.from && at < o.to {
			o.seen[kind][id] = true
			fresh[kind] = append(fresh[kind], at)
		}
	}
	now := time.Now()
	for kind, times := range fresh { // it was committed before it was read
		for _, at := range times {
			o.late[kind] = append(o.late[kind], float64(now.UnixMicro()-at))
		}
	}
	top.at = now
	o.floors = append(o.floors, top)
	return rows.Err()
}

// rest forgets what was seen: what is looked for from now on is newer. To look must cost the store little.
func (o *onlooker) rest() { o.floors = o.floors[len(o.floors)-1:] }

// Watch sees a timetable's times from one whole second to another come, until each has its run, and then counts:
// each has exactly one, or that is an error. meanwhile, if any, is told at each glance how many were ordered.
func (s *Server) Watch(ctx context.Context, t Timetable, from, to time.Time, meanwhile func(ordered int) error) (f Fired, err error) {
	due := t.due(from, to)
	o, err := s.onlooker(ctx, from, to)
	if err != nil {
		return f, err
	}
	if meanwhile != nil { // which may be a death: what its ids are made for is committed by another, later
		o.behind = patience
	}
	time.Sleep(time.Until(from.Add(-glance)))
	before, start := s.Used(), time.Now()
	weighed := false
	for until := to.Add(patience); len(o.seen[1]) < due || time.Now().Before(to); time.Sleep(glance) {
		if err := o.look(ctx); err != nil {
			return f, err
		}
		if come := t.due(from, time.Now().Truncate(time.Second).Add(time.Second)); len(o.seen[1]) == come {
			o.rest() // nothing is outstanding
		}
		if meanwhile != nil {
			if err := meanwhile(len(o.seen[0])); err != nil {
				return f, err
			}
		}
		if !weighed && time.Now().After(to) {
			weighed, f.CPU, f.Seconds = true, s.Since(before), time.Since(start).Seconds()
		}
		if time.Now().After(until) {
			break // what is missing is counted below
		}
	}
	if !weighed {
		f.CPU, f.Seconds = s.Since(before), time.Since(start).Seconds()
	}
	f.Runs, f.Ordered, f.Shown = due, o.late[0], o.late[1]
	return f, s.fates(ctx, from, to, due, &f)
}

// ended waits for the runs of times.
func (s *Server) ended(ctx context.Context, from, to time.Time) error {
	until := time.Now().Add(patience)
	for left := 1; left > 0; time.Sleep(50 * time.Millisecond) {
		if err := s.Rows.QueryRowContext(ctx, "SELECT count(*) FROM instance WHERE state < 9 AND data_time >= $1 AND data_time < $2", from.UnixMicro(), to.UnixMicro()).Scan(&left); err != nil {
			return fmt.Errorf("count what runs: %w", err)
		}
		if time.Now().After(until) {
			return fmt.Errorf("%d runs of schedules have not ended after %s", left, patience)
		}
	}
	return nil
}

// fates counts: a time that has no run is lost, a run without a time of its own is one too many.
func (s *Server) fates(ctx context.Context, from, to time.Time, due int, f *Fired) (err error) {
	if err := s.ended(ctx, from, to); err != nil {
		return err
	}
	var fires, runs, both, others int
	if err := s.Rows.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM (SELECT DISTINCT schedule_id, nominal_time FROM fire WHERE state = 1 AND nominal_time >= $1 AND nominal_time < $2) x),
			(SELECT count(*) FROM instance WHERE trigger = 2 AND data_time >= $1 AND data_time < $2),
			(SELECT count(*) FROM fire f JOIN instance i ON i.id = f.instance_id AND i.data_time = f.nominal_time AND i.workflow_id = f.workflow_id
				WHERE f.state = 1 AND f.nominal_time >= $1 AND f.nominal_time < $2),
			(SELECT count(*) FROM fire WHERE state <> 1 AND last_time >= $1 AND nominal_time < $2)`,
		from.UnixMicro(), to.UnixMicro()).Scan(&fires, &runs, &both, &others); err != nil {
		return fmt.Errorf("count fires: %w", err)
	}
	if fires != due || runs != due || both != due || others != 0 {
		return fmt.Errorf("%d times were due: %d were fired, %d were not; there are %d runs, %d of them of a time", due, fires, others, runs, both)
	}
	if n := len(f.Shown); n != due || len(f.Ordered) != due {
		return fmt.Errorf("the onlooker saw %d fires and %d runs of %d in time", len(f.Ordered), n, due)
	}
	rows, err := s.Rows.QueryContext(ctx, `
		SELECT f.created_at - f.nominal_time, coalesce((SELECT min(t.attempt_started_at) FROM task t WHERE t.instance_id = f.instance_id), 0) - f.nominal_time
		FROM fire f WHERE f.state = 1 AND f.nominal_time >= $1 AND f.nominal_time < $2`, from.UnixMicro(), to.UnixMicro())
	if err != nil {
		return fmt.Errorf("read fires: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var decided, begun int64
		if err := rows.Scan(&decided, &begun); err != nil {
			return fmt.Errorf("read fires: %w", err)
		}
		f.Decided = append(f.Decided, float64(decided))
		if begun >= 0 {
			f.Begun = append(f.Begun, float64(begun))
		}
	}
	f.Steps = len(f.Begun)
	return rows.Err()
}

// scheduleLines are a workflow's schedules as its file says them.
func scheduleLines(b *strings.Builder, schedules []string) {
	if len(schedules) == 0 {
		return
	}
	b.WriteString("schedules:\n")
	for _, line := range schedules {
		b.WriteString("  - " + line + "\n")
	}
}
