// Tasks that the engine runs itself: they begin, and wait in a row for a time, a person or another run. They hold no
// worker and have no attempts.

package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"baton/internal/flow"
)

// host begins a task that the engine runs itself.
func (s *State) host(r int32, env Env, fx *Effects) {
	row := &s.Rows[r]
	options, err := s.render(r)
	if err != nil {
		s.failHosted(r, flow.ReasonParameter, err.Error(), env, fx)
		return
	}
	s.set(r, flow.TaskRunning)
	row.StartedAt, row.EligibleAt = env.Now, env.Now
	switch row.Type {
	case flow.TypeWait:
		s.beginWait(r, options.options, env, fx)
	case flow.TypeApproval:
		s.beginApproval(r, options.options, env, fx)
	case flow.TypeSubWorkflow:
		s.beginChild(r, options.options, env, fx)
	case flow.TypeDependent:
		s.beginDependent(r, options.options, env, fx)
	case flow.TypeMap, flow.TypeLoop:
		s.beginFan(r, env, fx)
	}
}

// optionsOf renders and reads the options of a row.
func optionsOf[T any](s *State, r int32) (T, error) {
	var o T
	out, err := s.render(r)
	if err == nil {
		err = json.Unmarshal(out.options, &o)
	}
	return o, err
}

// hostAgain goes on with one that was paused: what it waits for is what it was.
func (s *State) hostAgain(r int32, env Env, fx *Effects) {
	row := &s.Rows[r]
	s.set(r, flow.TaskRunning)
	goOnCounting(row, env)
	switch row.Type {
	case flow.TypeWait:
		if row.NextCheck == 0 {
			s.awaitAgain(r)
			return
		}
		row.Reason = s.waitReason(row.NextCheck)
	case flow.TypeApproval:
		row.Reason = s.approvalReason(row)
	case flow.TypeSubWorkflow:
		if row.Child() != 0 {
			s.orderChild(r, flow.VerbResume, env)
			return
		}
		row.Reason = childLookup
		s.look(r, fx)
	case flow.TypeDependent:
		row.Reason = dependentLookup
		s.look(r, fx)
	case flow.TypeMap, flow.TypeLoop:
		s.fanAgain(r)
	}
}

// restHosted notes since when a row rests, where an attempt keeps when it ended. The time that a wait waits for is its
// own; a dependent follows nothing while it rests, and looks when it goes on.
func restHosted(row *flow.TaskRow, env Env) {
	row.Attempt.EndedAt = env.Now
	if row.Type == flow.TypeDependent {
		row.NextCheck = 0
	}
}

// goOnCounting leaves the time in which a row rested out of all that counts from a moment on: its timeout, and how long a
// dependent waits for somebody to mend something.
func goOnCounting(row *flow.TaskRow, env Env) {
	a := &row.Attempt
	if a.EndedAt == 0 {
		return
	}
	rested := env.Now.Sub(a.EndedAt)
	a.EndedAt = 0
	row.EligibleAt = row.EligibleAt.Add(rested)
	if row.Type == flow.TypeDependent && a.GrantedAt != 0 {
		a.GrantedAt = a.GrantedAt.Add(rested)
	}
}

// hostedDue carries out what a task waited for when its time has come.
func (s *State) hostedDue(r int32, env Env, fx *Effects) {
	row := &s.Rows[r]
	if row.Type == flow.TypeDependent {
		s.look(r, fx)
		return
	}
	s.endRow(r, flow.TaskSucceeded, "", env)
}

// hostedTimeout ends a task whose time to wait is over. A run that it began is stopped first.
func (s *State) hostedTimeout(r int32, l limit, env Env, fx *Effects) {
	row := &s.Rows[r]
	switch {
	case row.Type == flow.TypeApproval && s.approvalTimeout(r, env, fx):
	case row.Child() != 0, flow.Fans(row.Type):
		s.kill(r, flow.KillTimeout, env, fx)
	default:
		s.failHosted(r, flow.ReasonTimeout, fmt.Sprintf("timeout.%s of %s is over: %s", l.name, l.most, row.Reason), env, fx)
	}
}

// failHosted ends a task as failed, with a sentence for people.
func (s *State) failHosted(r int32, reason, why string, env Env, fx *Effects) {
	s.endRow(r, flow.TaskFailed, reason, env)
	s.failed(r, why, env, fx)
}

// succeedHosted ends a task with outputs.
func (s *State) succeedHosted(r int32, outputs []byte, env Env, fx *Effects) {
	s.succeedBeside(r, outputs, 0, env, fx)
}

// succeedBeside does not count so many bytes of them.
func (s *State) succeedBeside(r int32, outputs []byte, free int, env Env, fx *Effects) {
	if why := s.badBeside(outputs, free); why != "" {
		s.failHosted(r, flow.ReasonOutputs, why, env, fx)
		return
	}
	s.giveOutputs(r, outputs)
	s.endRow(r, flow.TaskSucceeded, "", env)
}

// look has what a row needs looked up once its change is durable. Until the answer comes the run is not let go of, and a
// dependent has no time at which it looks next: that is how whoever loads the run knows that it owes a look. A row that
// is being looked up already is looked up once more after that, for the answer may be older than what calls for this.
func (s *State) look(r int32, fx *Effects) {
	if row := &s.Rows[r]; row.Type == flow.TypeDependent && row.NextCheck != 0 {
		row.NextCheck = 0
		s.touch(r)
	}
	if _, asked := s.looking[r]; asked {
		s.looking[r] = true
		return
	}
	if s.looking == nil {
		s.looking = map[int32]bool{}
	}
	s.looking[r] = false
	fx.Lookups = append(fx.Lookups, r)
}

// lookAgain has looked up what a loaded row had no answer to. Who follows and owes no look is told.
func (s *State) lookAgain(r int32, fx *Effects) {
	row := &s.Rows[r]
	unanswered := row.Type == flow.TypeSubWorkflow && row.Child() == 0 || row.Type == flow.TypeDependent && row.NextCheck == 0
	if unanswered && row.Kill == flow.KillNone {
		s.look(r, fx)
	}
}

// Lookup returns the question of a row; false: it has none any more. What cannot be rendered any more asks nothing,
// and fails with the answer.
func (s *State) Lookup(r int32) (flow.Lookup, bool) {
	row := &s.Rows[r]
	q := flow.Lookup{Task: row.ID, Instance: s.Inst.ID}
	if _, asked := s.looking[r]; !asked || !row.Hosted() {
		delete(s.looking, r)
		return q, false
	}
	if row.Type == flow.TypeDependent {
		if o, err := optionsOf[dependentOptions](s, r); err == nil {
			q.Upstreams, _ = s.upstreams(&o)
		}
		return q, true
	}
	o, _ := optionsOf[childOptions](s, r)
	q.Project, q.Workflow = cmp.Or(o.Project, s.Plan.Def.Project), o.Workflow
	q.Child, _ = s.lastChild(r)
	return q, true
}

// looked goes on with the answer.
func (s *State) looked(e Looked, env Env, fx *Effects) {
	r := s.RowByID(e.Task)
	again, asked := s.looking[r]
	if r < 0 || !asked {
		return
	}
	delete(s.looking, r)
	s.change.touched = true // it may be let go of now
	row := &s.Rows[r]
	switch {
	case !row.Valid || !row.Hosted():
	case row.Type == flow.TypeDependent:
		s.lookedUpstream(r, e.Found.Upstreams, env, fx)
	default:
		s.beginRun(r, e, env, fx)
	}
	if _, asked := s.looking[r]; again && !asked && row.Hosted() && row.Type == flow.TypeDependent {
		s.look(r, fx)
	}
}

// waitOptions are those of a wait.
type waitOptions struct {
	For   string  `json:"for"`
	Until string  `json:"until"`
	Event *string `json:"event"`
}

func (s *State) beginWait(r int32, raw json.RawMessage, env Env, fx *Effects) {
	var o waitOptions
	if err := json.Unmarshal(raw, &o); err != nil {
		s.failHosted(r, flow.ReasonOptions, err.Error(), env, fx)
		return
	}
	row := &s.Rows[r]
	switch {
	case o.Event != nil:
		if err := flow.CheckName(*o.Event); err != nil { // it may be made of parameters
			s.failHosted(r, flow.ReasonOptions, "with.event: "+err.Message, env, fx)
			return
		}
		s.awaitEvent(r, *o.Event)
		return
	case o.Until != "":
		at, ok := flow.ParseMoment(o.Until, s.zone())
		if !ok {
			s.failHosted(r, flow.ReasonOptions, fmt.Sprintf("with.until: %q is no time; write 2026-03-01T02:00:00Z, 2026-03-01 or \"2026-03-01 02:00:00\"", o.Until), env, fx)
			return
		}
		row.NextCheck = flow.At(at)
	default:
		d, err := flow.ParseDuration(o.For)
		if err != nil {
			s.failHosted(r, flow.ReasonOptions, "with.for: "+err.Error(), env, fx)
			return
		}
		row.NextCheck = env.Now.Add(d.Std())
	}
	row.Reason = s.waitReason(row.NextCheck)
	if row.NextCheck <= env.Now {
		s.hostedDue(r, env, fx)
	}
}

func (s *State) waitReason(until flow.Time) string {
	return flow.ReasonWait + ": waits until " + until.Std().In(s.zone()).Truncate(time.Second).Format(time.RFC3339) + ", as the task asks"
}

// awaitEvent has a row wait until an event is sent. What is sent before is heard by nobody.
func (s *State) awaitEvent(r int32, name string) {
	row := &s.Rows[r]
	project := s.Plan.Def.Project
	row.Reason = flow.Text(fmt.Sprintf("%s: waits for event %s of project %s; `baton event %s` sends it", flow.ReasonWait, name, project, name), flow.MaxReason)
	s.touch(r)
	s.change.follows = append(s.change.follows, flow.Follow{
		Instance: s.Inst.ID, Row: row.ID, Task: flow.EventKey(project, name), Span: flow.Span{From: 0, To: 1},
	})
}

// awaitAgain goes on with a wait for an event.
func (s *State) awaitAgain(r int32) {
	if o, err := optionsOf[waitOptions](s, r); err == nil && o.Event != nil {
		s.awaitEvent(r, *o.Event)
	}
}

// eventHeard ends the wait of a row, with what the event brought as outputs.
func (s *State) eventHeard(e EventHeard, env Env, fx *Effects) {
	r := s.RowByID(e.Row)
	if r < 0 || !s.Rows[r].Valid || !s.follows(&s.Rows[r]) || s.Rows[r].Type != flow.TypeWait {
		return // it is over, or rests: then it waits anew
	}
	var outputs []byte
	if len(e.Params) > 0 {
		outputs, _ = json.Marshal(e.Params) // texts: it cannot fail
	}
	s.succeedHosted(r, outputs, env, fx)
}
