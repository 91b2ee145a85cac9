// State: one instance in memory, rows and what is derived from them.

package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// State is one instance: its rows, as they will be committed next, and what is derived from them.
// It belongs to one goroutine at a time.
type State struct {
	Plan  *Plan
	Inst  flow.Instance
	Rows  []flow.TaskRow // in order of creation
	start flow.Start
	in    []bool // chosen nodes, nil: all
	holds []string

	given   map[string]string // start parameters, resolved
	globals map[string]string // the workflow's parameters, resolved

	orders map[int32]rendered // of rows granted but not yet sent
	loc    *time.Location

	wakeStale bool // Inst.WakeAt is to be computed anew
	unserved  bool // a row may wait for a group that nobody serves

	// Derived; rebuilt by rebuild.
	row     []int32 // node → index of its valid row, -1
	verdict []verdict
	left    []int32 // upstreams that have no verdict yet
	active  int     // valid rows that are neither ended nor paused
	paused  int     // valid rows in state paused
	waiting int     // valid rows in state waiting
	live    int     // valid rows that a worker holds
	hosted  int     // valid rows that wait in the engine itself
	pooling int     // valid rows that wait for slots of their pool
	unknown int     // valid rows in state unknown
	giving  int     // valid rows with outputs
	handed  int     // bytes of the outputs of all rows
	fresh   []int32 // nodes to judge
	toJudge []int32
	ending  bool // the end is decided: what runs then has begun

	texts   map[int32]map[string]string // outputs of rows, decoded when they were first asked for
	looking map[int32]bool              // rows that wait for what is being looked up; true: and for one more look after it

	fans    map[int32]*items // of nodes that are maps or loops; derived
	driving []int32          // of these, whose items are to be looked at

	change change
}

// verdict is how a node counts for the joins after it.
type verdict uint8

const (
	pending   verdict = iota
	succeeded         // also forced, disabled, skipped by hand
	failed
	killed
	notTaken
	unreached
)

// Backfill is the backfill that ordered the run, 0 for none.
func (s *State) Backfill() flow.ID { return s.start.Backfill }

// Load makes a state of stored rows. compile is the plan of the instance's version.
func Load(plan *Plan, l flow.Loaded) (*State, error) {
	s := &State{Plan: plan, Inst: l.Instance, Rows: l.Tasks}
	if err := json.Unmarshal(l.Instance.Spec, &s.start); err != nil {
		return nil, fmt.Errorf("load instance %d: its start: %w", l.Instance.ID, err)
	}
	if len(l.Instance.Holds) > 0 {
		if err := json.Unmarshal(l.Instance.Holds, &s.holds); err != nil {
			return nil, fmt.Errorf("load instance %d: its holds: %w", l.Instance.ID, err)
		}
	}
	var err error
	if s.in, err = plan.choose(s.start.Tasks, s.start.Mode); err != nil {
		return nil, fmt.Errorf("load instance %d: %w", l.Instance.ID, err)
	}
	if err := s.restoreParams(); err != nil {
		return nil, fmt.Errorf("load instance %d: its parameters: %w", l.Instance.ID, err)
	}
	if err := s.checkRows(); err != nil {
		return nil, fmt.Errorf("load instance %d: %w", l.Instance.ID, err)
	}
	s.change.stored = len(s.Rows)
	s.unserved = slices.ContainsFunc(s.Rows, func(row flow.TaskRow) bool { return unservedUntil(&row) != 0 })
	s.rebuild()
	return s, nil
}

// checkRows finds rows that no engine of this version wrote: a damaged one must not be taken for
// another.
func (s *State) checkRows() error {
	if st := s.Inst.State; st < flow.InstanceSubmitted || st > flow.InstanceSucceeded {
		return fmt.Errorf("it is in state %d, which does not exist", st)
	}
	for r := range s.Rows {
		row := &s.Rows[r]
		if row.State < flow.TaskWaiting || row.State > flow.TaskKilled {
			return fmt.Errorf("task instance %d is in state %d, which does not exist", row.ID, row.State)
		}
		if r > 0 && row.ID <= s.Rows[r-1].ID {
			return fmt.Errorf("task instance %d is not in order of creation", row.ID)
		}
		if row.Item != 0 {
			name, index, named := flow.CutItem(row.Name)
			i, known := s.Plan.index[name]
			if !named || !known || s.Plan.nodes[i].inner == nil || index != int(row.Item)-1 {
				return fmt.Errorf("task instance %d is called %q and is item %d; version %d of the workflow has no such task", row.ID, row.Name, row.Item, s.Inst.Version)
			}
			continue
		}
		_, own := s.Plan.index[row.Name]
		_, undoes := s.Plan.index[strings.TrimSuffix(row.Name, compensateSuffix)]
		if !own && !undoes {
			return fmt.Errorf("task instance %d is called %q; version %d of the workflow has no such task", row.ID, row.Name, s.Inst.Version)
		}
	}
	return nil
}

// New makes the state of an instance that a command begins. The instance is not stored yet.
func New(plan *Plan, c flow.Command) (*State, error) {
	s := &State{Plan: plan}
	if err := json.Unmarshal(c.Start, &s.start); err != nil {
		return nil, fmt.Errorf("command %d: its start: %w", c.ID, err)
	}
	st := s.start
	s.Inst = flow.Instance{
		ID: c.ID, Project: c.Project, Workflow: c.Workflow, Version: c.Version,
		State: flow.InstanceSubmitted, Engine: flow.EngineVersion, RunTimes: 1, DryRun: st.DryRun,
		Priority: c.Priority.Or(st.Priority).Or(plan.Def.Workflow.Priority).Or(flow.PriorityMedium),
		DataTime: st.DataTime, Zone: c.Zone, Trigger: st.Trigger, Key: c.Key, Spec: c.Start, SubmittedAt: c.At,
	}
	s.Inst.Parent, s.Inst.ParentRow = st.Parent, st.ParentRow
	if s.Inst.Trigger == "" {
		s.Inst.Trigger = flow.TriggerManual
	}
	if s.Inst.DataTime == 0 {
		s.Inst.DataTime = c.At
	}
	if s.Inst.Zone == "" {
		s.Inst.Zone = plan.Def.Workflow.Timezone
	}
	var err error
	if s.in, err = plan.choose(st.Tasks, st.Mode); err != nil {
		return nil, err
	}
	if err := s.resolveParams(); err != nil {
		return nil, err
	}
	s.rebuild()
	return s, nil
}

// Size estimates the bytes the state holds, for a cache bound by bytes.
func (s *State) Size() int {
	n := 600 + len(s.Inst.Spec) + len(s.Inst.Params) + 10*len(s.Plan.nodes)
	for i := range s.Rows {
		n += 320 + len(s.Rows[i].Outputs) + len(s.Rows[i].Reason)
	}
	for _, texts := range s.texts {
		for name, text := range texts {
			n += 48 + len(name) + len(text)
		}
	}
	for _, f := range s.fans {
		n += 4 * cap(f.rows)
		if f.plan != nil {
			for _, item := range f.plan.list {
				n += 24 + len(item)
			}
		}
	}
	return n
}

// Busy tells whether a worker holds, or may hold, something of it.
func (s *State) Busy() bool { return s.live > 0 }

// phase is the state that decides what becomes of a row: of a quarantined instance, whose attempts
// still end, the one it comes back to.
func (s *State) phase() flow.InstanceState {
	if s.Inst.State == flow.InstanceQuarantined {
		return s.Inst.Prior
	}
	return s.Inst.State
}

// resting tells whether what could go on is put to rest instead.
func (s *State) resting() bool {
	return s.phase() == flow.InstancePausing || s.phase() == flow.InstancePaused
}

func (s *State) chosen(i int32) bool { return s.in == nil || s.in[i] }

// rebuild derives everything from the rows: after a load, and after verbs that set rows aside.
func (s *State) rebuild() {
	n := len(s.Plan.nodes)
	if s.row == nil {
		s.row, s.verdict, s.left = make([]int32, n), make([]verdict, n), make([]int32, n)
	}
	s.active, s.paused, s.waiting, s.live, s.hosted, s.pooling, s.unknown, s.giving, s.handed = 0, 0, 0, 0, 0, 0, 0, 0, 0
	s.fans, s.driving = nil, nil
	s.ending = s.ending || len(s.Plan.finals) > 0 && slices.ContainsFunc(s.Rows, func(row flow.TaskRow) bool { return row.Valid && s.final(&row) })
	for i := range n {
		s.row[i], s.verdict[i], s.left[i] = -1, pending, 0
		if s.Plan.nodes[i].final && !s.ending {
			s.left[i]++
		}
		for _, u := range s.Plan.nodes[i].up {
			if s.chosen(u) {
				s.left[i]++
			}
		}
	}
	for r := range s.Rows {
		row := &s.Rows[r]
		s.handed += len(row.Outputs)
		if !row.Valid {
			continue
		}
		s.count(row, 1)
		if len(row.Outputs) > 0 {
			s.giving++
		}
		switch {
		case row.Item != 0:
			s.items(s.ownerOf(row)).keepItem(int(row.Item)-1, int32(r))
		case row.Compensates == 0:
			i := s.Plan.index[row.Name]
			s.row[i] = int32(r)
			if row.Hosted() && flow.Fans(row.Type) {
				s.toDrive(i) // what ended while the run was quarantined has moved nothing yet
			}
		}
	}
	s.toJudge = s.toJudge[:0]
	for _, i := range s.Plan.topo {
		if !s.chosen(i) {
			continue
		}
		if s.row[i] >= 0 {
			if v := rowVerdict(&s.Rows[s.row[i]]); v != pending {
				s.conclude(i, v)
			}
		}
		if s.row[i] < 0 && s.left[i] == 0 {
			if s.judge(i) == unreached {
				s.conclude(i, unreached)
			} else {
				s.toJudge = append(s.toJudge, i)
			}
		}
	}
	s.fresh = s.fresh[:0]
}

// conclude records a node's verdict and queues what it was the last upstream of.
func (s *State) conclude(i int32, v verdict) {
	s.verdict[i] = v
	for _, d := range s.Plan.nodes[i].down {
		if !s.chosen(d) {
			continue
		}
		if s.left[d]--; s.left[d] == 0 && s.row[d] < 0 {
			s.fresh = append(s.fresh, d)
		}
	}
}

func rowVerdict(r *flow.TaskRow) verdict {
	switch r.State {
	case flow.TaskSucceeded, flow.TaskForcedSuccess:
		return succeeded
	case flow.TaskFailed:
		return failed
	case flow.TaskKilled:
		return killed
	case flow.TaskSkipped:
		if r.Reason == flow.ReasonNotTaken {
			return notTaken
		}
		return succeeded
	default:
		return pending
	}
}

func (s *State) count(row *flow.TaskRow, by int) {
	st := row.State
	if row.Item != 0 {
		s.countItem(row, by)
	}
	switch {
	case st == flow.TaskPaused:
		s.paused += by
	case !st.Ended():
		s.active += by
	}
	switch {
	case st == flow.TaskWaiting:
		s.waiting += by
	case st == flow.TaskUnknown:
		s.unknown += by
	case row.Placed():
		s.live += by
	case row.Hosted():
		s.hosted += by
	case row.Pooling():
		s.pooling += by
	}
}

// set moves a row to a state; every change of a row's state goes through here.
func (s *State) set(r int32, to flow.TaskState) {
	row := &s.Rows[r]
	if !flow.TaskMachine.Can(row.State, to) && row.State != 0 {
		panic(fmt.Sprintf("task %q of instance %d cannot go from %s to %s", row.Name, s.Inst.ID, row.State, to))
	}
	s.touch(r) // before it moves: the guard of the commit is where the stored row is
	if to != flow.TaskQueued && !to.Placed() {
		s.unclaim(r)
	}
	if row.Valid {
		if row.State != 0 {
			s.count(row, -1)
		}
	}
	if s.follows(row) && to != flow.TaskRunning {
		s.unfollow(row)
	}
	row.State = to
	if row.Valid {
		s.count(row, 1)
	}
}

// setInst moves the instance to a state.
func (s *State) setInst(to flow.InstanceState) {
	if !flow.InstanceMachine.Can(s.Inst.State, to) {
		panic(fmt.Sprintf("instance %d cannot go from %s to %s", s.Inst.ID, s.Inst.State, to))
	}
	s.Inst.State = to
	s.change.touched = true
}

// setAside makes a row invalid: a new one takes its place.
func (s *State) setAside(r int32) {
	row := &s.Rows[r]
	if row.Valid {
		s.count(row, -1)
		if len(row.Outputs) > 0 {
			s.giving--
		}
	}
	row.Valid = false
	s.touch(r)
}

// RowOf returns the valid row of a task, -1 when it has none.
func (s *State) RowOf(name string) int32 {
	i, ok := s.Plan.index[name]
	if !ok {
		for r := range s.Rows {
			if s.Rows[r].Valid && s.Rows[r].Name == name {
				return int32(r)
			}
		}
		return -1
	}
	return s.row[i]
}

// RowByID returns the index of a row, -1 when there is none. Rows are in order of creation, and
// ids grow, so a fan-out of ten thousand is not searched from its beginning for each end.
func (s *State) RowByID(id flow.ID) int32 {
	r, found := slices.BinarySearchFunc(s.Rows, id, func(row flow.TaskRow, id flow.ID) int { return cmp.Compare(row.ID, id) })
	if !found {
		return -1
	}
	return int32(r)
}

// node returns what a row runs: its node, and whether it is the compensation of it. The name alone
// does not tell: a task may be called "T:compensate".
func (s *State) node(row *flow.TaskRow) (*node, bool) {
	switch {
	case row.Item != 0:
		return s.Plan.nodes[s.ownerOf(row)].inner, false
	case row.Compensates == 0:
		return &s.Plan.nodes[s.Plan.index[row.Name]], false
	}
	name := strings.TrimSuffix(row.Name, compensateSuffix)
	return &s.Plan.nodes[s.Plan.index[name]], true
}

func (s *State) work(row *flow.TaskRow) *work {
	n, undo := s.node(row)
	if undo {
		return n.undo
	}
	return &n.work
}

const compensateSuffix = ":compensate"
