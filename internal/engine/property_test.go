// Properties of every run: random graphs, random events, nonsense included.

package engine

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/flow"
)

// drawWorkflow makes a random graph of up to eight tasks. Its expressions always have a value, so
// that a run in which every task succeeds can succeed.
func drawWorkflow(t *rapid.T) flow.Workflow {
	n := rapid.IntRange(1, 8).Draw(t, "tasks")
	name := func(i int) string { return string(rune('a' + i)) }
	w := flow.Workflow{Failure: rapid.SampledFrom([]flow.Failure{"", flow.FailureEnd}).Draw(t, "failure")}
	if rapid.IntRange(0, 5).Draw(t, "limited") == 0 {
		w.Timeout = flow.Timeout{Run: flow.Duration(time.Minute), Action: drawAction(t)}
	}
	for i := range n {
		task := flow.Task{Name: name(i), Type: "shell", With: json.RawMessage(`{"script":"true"}`)}
		for u := range i {
			if rapid.IntRange(0, 2).Draw(t, "edge") == 0 {
				task.Needs = append(task.Needs, name(u))
			}
		}
		drawTask(t, &task)
		drawFan(t, &task)
		w.Tasks = append(w.Tasks, task)
	}
	for i := range w.Tasks {
		drawBranches(t, w.Tasks, i)
	}
	for i := range w.Tasks {
		drawJoin(t, &w.Tasks[i])
	}
	drawFinally(t, &w)
	return w
}

// drawFinally adds tasks that run at the end to some workflows, named after the others.
func drawFinally(t *rapid.T, w *flow.Workflow) {
	n := max(0, rapid.IntRange(-2, 3).Draw(t, "finally"))
	for i := range n {
		task := flow.Task{Name: string(rune('a' + len(w.Tasks) + i)), Type: "shell", With: json.RawMessage(`{"script":"true"}`)}
		if i > 0 && rapid.Bool().Draw(t, "edge at the end") {
			task.Needs = []string{w.Finally[i-1].Name}
		}
		drawTask(t, &task)
		drawFan(t, &task)
		task.Compensate, task.IgnoreFailure = nil, false
		w.Finally = append(w.Finally, task)
	}
	for i := range w.Finally {
		drawBranches(t, w.Finally, i)
	}
	for i := range w.Finally {
		drawJoin(t, &w.Finally[i])
	}
}

func drawAction(t *rapid.T) flow.TimeoutAction {
	return rapid.SampledFrom([]flow.TimeoutAction{"", flow.TimeoutWarn, flow.TimeoutFail, flow.TimeoutWarnFail}).Draw(t, "action")
}

func drawTask(t *rapid.T, task *flow.Task) {
	often := func(what string, n int) bool { return rapid.IntRange(0, n).Draw(t, what) == 0 }
	task.Disabled = often("disabled", 9)
	task.IgnoreFailure = often("ignore", 9)
	if often("retry", 2) {
		task.Retry = flow.Retry{Times: rapid.IntRange(1, 2).Draw(t, "times"), Delay: flow.Duration(rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(t, "retry delay"))}
	}
	if often("delay", 7) {
		task.Delay = flow.Duration(20 * time.Second)
	}
	if often("at most once", 4) {
		task.Delivery = flow.AtMostOnce
	}
	if often("compensate", 4) {
		task.Compensate = &flow.Compensation{Type: "shell"}
	}
	if often("timeout", 3) {
		d := func(what string) flow.Duration {
			return flow.Duration(rapid.SampledFrom([]time.Duration{0, 5 * time.Second, 30 * time.Second}).Draw(t, what))
		}
		task.Timeout = flow.Timeout{Queue: d("queue"), Start: d("start"), Run: d("run"), Heartbeat: d("heartbeat"), Action: drawAction(t)}
	}
	if often("pool", 3) {
		task.Pool = &flow.PoolUse{Name: "dw", Slots: rapid.IntRange(0, 2).Draw(t, "slots")}
	}
	if often("when", 9) {
		task.When = rapid.SampledFrom([]string{"true", "false"}).Draw(t, "condition")
	}
}

// drawFan makes a map or a loop of some tasks: what was drawn is then what is done with each item.
func drawFan(t *rapid.T, task *flow.Task) {
	kind := rapid.IntRange(0, 9).Draw(t, "fan")
	if kind > 2 {
		return
	}
	inner := *task
	task.Inner = &inner
	task.Retry, task.Delivery, task.Pool, task.Timeout = flow.Retry{}, "", nil, flow.Timeout{Run: task.Timeout.Run, Action: task.Timeout.Action}
	inner.Name, inner.Needs, inner.When, inner.Compensate, inner.Disabled, inner.IgnoreFailure, inner.Delay = "", nil, "", nil, false, false, 0
	if kind == 0 {
		task.Type = flow.TypeLoop
		task.With = json.RawMessage(rapid.SampledFrom([]string{`{"until":"true"}`, `{"until":"loop.index >= 1","delay":"7s"}`, `{"until":"loop.index > 0","max":2}`}).Draw(t, "loop"))
		return
	}
	task.Type = flow.TypeMap
	task.With = json.RawMessage(rapid.SampledFrom([]string{`{"over":[]}`, `{"over":[1]}`, `{"over":[1,2,3]}`, `{"over":"[1,2,3]","parallel":1}`, `{"over":[1,2,3],"parallel":2,"allow_failed":"40%"}`}).Draw(t, "map"))
}

func drawBranches(t *rapid.T, tasks []flow.Task, i int) {
	b := &tasks[i]
	var arms [2][]string
	if i+1 == len(tasks) || rapid.IntRange(0, 4).Draw(t, "branch") != 0 {
		return
	}
	for d := i + 1; d < len(tasks); d++ {
		if arm := rapid.IntRange(0, 3).Draw(t, "arm"); arm < 2 {
			arms[arm] = append(arms[arm], tasks[d].Name)
			if !slices.Contains(tasks[d].Needs, b.Name) {
				tasks[d].Needs = append(tasks[d].Needs, b.Name)
			}
		}
	}
	b.With, b.Compensate, b.Inner = nil, nil, nil
	if len(b.Needs) > 0 && rapid.Bool().Draw(t, "conditions") {
		b.Type = flow.TypeConditions
		b.Decide = drawExpression(t, b.Needs)
		b.Branches = []flow.Branch{{Name: "then", To: arms[0]}, {Name: "else", To: arms[1]}}
		return
	}
	b.Type = flow.TypeSwitch
	b.Branches = []flow.Branch{{When: rapid.SampledFrom([]string{"true", "false"}).Draw(t, "case"), To: arms[0]}, {Default: true, To: arms[1]}}
}

func drawJoin(t *rapid.T, task *flow.Task) {
	rules := []string{"", "", "", flow.JoinAllDone, flow.JoinAnySucceeded, flow.JoinNoneFailed}
	if len(task.Needs) > 0 {
		rules = append(rules, drawExpression(t, task.Needs))
	}
	task.Join = rapid.SampledFrom(rules).Draw(t, "join")
}

func drawExpression(t *rapid.T, needs []string) string {
	field := rapid.SampledFrom([]string{"succeeded", "failed", "killed", "skipped", "unreached", "ended"})
	term := func() string {
		return rapid.SampledFrom([]string{"", "not "}).Draw(t, "not") + rapid.SampledFrom(needs).Draw(t, "upstream") + "." + field.Draw(t, "field")
	}
	if rapid.Bool().Draw(t, "one term") {
		return term()
	}
	return term() + rapid.SampledFrom([]string{" and ", " or "}).Draw(t, "operator") + term()
}

// step is one thing that happened to a run, for the replay.
type step struct {
	now  flow.Time
	ev   Event
	kind string // "", reload, quarantine
}

// traced tells with a failure what led to it.
type traced struct {
	*rapid.T
	w *watched
}

func (t traced) Fatalf(format string, args ...any) {
	t.Helper()
	for _, task := range t.w.plan.Def.Workflow.AllTasks() {
		t.Logf("task %+v", *task)
	}
	for _, s := range t.w.steps {
		t.Logf("%s %T %+v %s", flow.Duration(s.now.Sub(epoch)), s.ev, s.ev, s.kind)
	}
	t.T.Fatalf(format, args...)
}

// watched is a world whose invariants are checked after every event.
type watched struct {
	*world
	steps  []step
	tokens map[flow.ID]int64
	ends   flow.InstanceState // what was decided about the end, 0 before
}

func (w *watched) do(ev Event) {
	w.t.Helper()
	before := w.s.granting()
	rows, inst := slices.Clone(w.rows), w.inst
	w.steps = append(w.steps, step{now: w.now, ev: ev})
	w.apply(ev)
	_, byHand := ev.(VerbGiven)
	w.checkMoves(rows, inst, byHand)
	w.checkEffects(rows, before)
	w.checkState(ev)
	w.checkOrder()
	w.checkEnd(inst)
}

// checkMoves: rows that have ended, and runs that have, change only by a verb; attempts count up.
func (w *watched) checkMoves(rows []flow.TaskRow, inst flow.Instance, byHand bool) {
	w.t.Helper()
	if inst.ID != 0 && inst.State.Ended() && w.inst.State != inst.State && !byHand {
		w.t.Fatalf("the run ended %s and became %s without a verb", inst.State, w.inst.State)
	}
	if !flow.InstanceMachine.Can(inst.State, w.inst.State) && inst.State != 0 && !reachable(flow.InstanceMachine, inst.State, w.inst.State) {
		w.t.Fatalf("the run went from %s to %s", inst.State, w.inst.State)
	}
	for i, old := range rows {
		row := w.rows[i]
		if old.State.Ended() && (row.State != old.State || row.Valid != old.Valid) && !byHand {
			w.t.Fatalf("%s ended %s and became %s (valid %t) without a verb", row.Name, old.State, row.State, row.Valid)
		}
		if !reachable(flow.TaskMachine, old.State, row.State) {
			w.t.Fatalf("%s went from %s to %s", row.Name, old.State, row.State)
		}
		if row.Attempt.Token != old.Attempt.Token && row.Attempt.Token != 0 && row.Attempt.Token <= w.tokens[row.ID] {
			w.t.Fatalf("%s: token %d after %d", row.Name, row.Attempt.Token, w.tokens[row.ID])
		}
		if row.Attempt.State.Ended() && row.Attempt.State != flow.AttemptVoid && row.Attempt.Number < old.Attempt.Number {
			w.t.Fatalf("%s: attempt %d after %d", row.Name, row.Attempt.Number, old.Attempt.Number)
		}
	}
	for _, row := range w.rows {
		w.tokens[row.ID] = max(w.tokens[row.ID], row.Attempt.Token)
	}
}

// reachable tells whether one decision may lead from a state to another: a move, or two.
func reachable[S interface {
	~uint8
	fmt.Stringer
}](m *flow.Machine[S], from, to S) bool {
	if m.Can(from, to) {
		return true
	}
	for via := S(1); via < 12; via++ {
		if m.Can(from, via) && m.Can(via, to) {
			return true
		}
	}
	return false
}

// checkEffects: whoever carries out the effects alone forgets no row and leaks no slot.
func (w *watched) checkEffects(rows []flow.TaskRow, granting bool) {
	w.t.Helper()
	for r := range w.s.Rows {
		row := &w.s.Rows[r]
		var old flow.TaskRow
		if r < len(rows) {
			old = rows[r]
		}
		fresh := old.State != flow.TaskQueued || old.Pooling() || !granting
		if row.Valid && row.State == flow.TaskQueued && !row.Pooling() && w.s.granting() && fresh && !slices.Contains(w.fx.Queued, int32(r)) {
			w.t.Fatalf("%s was queued and nobody told", row.Name)
		}
		if row.Placed() && !old.Placed() && !slices.Contains(w.fx.Granted, int32(r)) {
			w.t.Fatalf("%s was granted and nobody told", row.Name)
		}
		if row.Placed() && row.Kill != 0 && old.Kill != row.Kill && !slices.Contains(w.fx.Killing, int32(r)) {
			w.t.Fatalf("%s is to be killed and nobody told", row.Name)
		}
		if old.Attempt.State.Live() && (!row.Attempt.State.Live() || row.Attempt.Token != old.Attempt.Token) && !slices.Contains(w.fx.Freed, int32(r)) {
			w.t.Fatalf("attempt %d of %s is over and its slot was not freed", old.Attempt.Token, row.Name)
		}
		if row.Placed() != row.Attempt.State.Live() && row.Valid {
			w.t.Fatalf("%s is %s and its attempt %s", row.Name, row.State, row.Attempt.State)
		}
	}
}

// checkState: nothing is stuck without a reason that a person can read.
func (w *watched) checkState(ev Event) {
	w.t.Helper()
	i := w.inst
	if !i.State.Ended() && i.Reason == "" {
		w.t.Fatalf("the run is %s without a reason", i.State)
	}
	if i.State.Ended() != (i.EndedAt != 0) && i.State != flow.InstanceQuarantined {
		w.t.Fatalf("the run is %s and ended at %d", i.State, i.EndedAt)
	}
	valid := map[string]bool{}
	active := 0
	for r := range w.rows {
		row := &w.rows[r]
		if row.State == 0 {
			w.t.Fatalf("%s has no state", row.Name)
		}
		if row.State.Ended() != (row.EndedAt != 0) {
			w.t.Fatalf("%s is %s and ended at %d", row.Name, row.State, row.EndedAt)
		}
		if !row.State.Ended() && row.Reason == "" {
			w.t.Fatalf("%s is %s without a reason", row.Name, row.State)
		}
		if !row.Valid {
			if !row.State.Ended() {
				w.t.Fatalf("%s is superseded and %s", row.Name, row.State)
			}
			continue
		}
		if valid[row.Name] {
			w.t.Fatalf("%s has two valid rows", row.Name)
		}
		valid[row.Name] = true
		if !row.State.Ended() {
			if i.State.Ended() && row.State != flow.TaskPaused {
				w.t.Fatalf("the run has ended and %s is %s", row.Name, row.State)
			}
			if row.State != flow.TaskPaused {
				active++
			}
			if i.State == flow.InstanceStopping && w.s.closing() && row.State != flow.TaskUnknown && row.Kill == 0 {
				w.t.Fatalf("the run is stopping and nobody kills %s (%s)", row.Name, row.State)
			}
		}
	}
	if active == 0 && !i.State.AtRest() {
		w.t.Fatalf("nothing is active and the run is %s (%s)", i.State, i.Reason)
	}
	if active > 0 && i.State == flow.InstancePaused {
		w.t.Fatalf("the run is paused and %d tasks are active", active)
	}
	if _, due := ev.(Due); due && i.WakeAt != 0 && i.WakeAt <= w.now {
		w.t.Fatalf("woken at %d it asks to be woken at %d", w.now, i.WakeAt)
	}
	busy := false
	for r := range w.s.Rows {
		row := &w.s.Rows[r]
		busy = busy || row.Valid && (row.Placed() || row.State == flow.TaskQueued && !row.Pooling() && !i.State.AtRest())
	}
	if w.s.Resting() == busy {
		w.t.Fatalf("the run says of itself that it rests (%t), and it does not", busy)
	}
	if len(w.steps)%8 == 0 {
		for _, e := range Explain(w.s, "a[0]", w.now).Tasks {
			if st, err := flow.ParseTaskState(e.State); e.Reason == "" && (err != nil || !st.Ended()) {
				w.t.Fatalf("nobody can say why %s is %q", e.Name, e.State)
			}
		}
	}
	if i.State.AtRest() && i.WakeAt != 0 {
		w.t.Fatalf("the run is %s and asks to be woken", i.State)
	}
}

// checkOrder: no task goes on before all it needs has ended or will never be.
func (w *watched) checkOrder() {
	w.t.Helper()
	for _, row := range w.change.NewTasks {
		if row.Compensates != 0 || row.Item != 0 || !row.Valid {
			continue
		}
		for _, u := range w.s.Plan.nodes[w.s.Plan.index[row.Name]].up {
			if r := w.s.row[u]; w.s.chosen(u) && (r < 0 && w.s.verdict[u] != unreached || r >= 0 && !w.s.Rows[r].State.Ended()) {
				w.t.Fatalf("%s got a row and %s, which it needs, has not ended", row.Name, w.s.Plan.nodes[u].Name)
			}
		}
	}
}

// checkEnd: what was decided about the end is what the run comes to, and what runs at the end has run by then.
func (w *watched) checkEnd(before flow.Instance) {
	w.t.Helper()
	if w.inst.RunTimes != before.RunTimes || w.inst.State == flow.InstanceQuarantined || before.State == flow.InstanceQuarantined {
		w.ends = 0 // there is going to be another one; or it is decided anew, from the rows
	}
	if len(w.plan.finals) == 0 || before.State == flow.InstanceQuarantined {
		return
	}
	w.checkBegun()
	i := w.inst
	switch {
	case !w.s.ending || i.State == flow.InstanceQuarantined:
	case !i.State.Ended():
		if w.ends != 0 && w.ends != i.Prior || !i.Prior.Ended() {
			w.t.Fatalf("that the run ends %s became %s", w.ends, i.Prior)
		}
		w.ends = i.Prior
	case w.ends != 0 && w.ends != i.State:
		w.t.Fatalf("the run was to end %s and ended %s", w.ends, i.State)
	}
	if before.State.Ended() || !i.State.Ended() || i.StartedAt == 0 || before.State == flow.InstanceQueued {
		return
	}
	if !w.s.ending {
		w.t.Fatalf("the run went from %s to %s without what runs at the end", before.State, i.State)
	}
	for _, n := range w.plan.finals {
		if w.s.row[n] < 0 && w.s.verdict[n] != unreached && !i.FailFast {
			w.t.Fatalf("the run ended and %s never ran", w.plan.nodes[n].Name)
		}
	}
}

// checkBegun: what runs at the end begins when all else is over, and nothing else does after that.
func (w *watched) checkBegun() {
	w.t.Helper()
	before := func(row flow.TaskRow) bool {
		return row.Valid && !w.s.final(&row) && !row.State.Ended() && row.State != flow.TaskPaused
	}
	for _, row := range w.change.NewTasks {
		switch final := w.s.final(&row); {
		case final && slices.ContainsFunc(w.s.Rows, before):
			w.t.Fatalf("%s began, and tasks before it go on", row.Name)
		case !final && w.ends != 0:
			w.t.Fatalf("%s began when the end was decided", row.Name)
		}
	}
}

// drawEvent makes something happen: mostly what makes sense, sometimes nonsense.
func (w *watched) drawEvent(t *rapid.T) {
	kind := rapid.IntRange(0, 24).Draw(t, "event")
	r := int32(rapid.IntRange(-1, len(w.s.Rows)).Draw(t, "row"))
	if kind < 14 {
		r = w.useful(t)
	}
	var row flow.TaskRow
	if r >= 0 && int(r) < len(w.s.Rows) {
		row = w.s.Rows[r]
	}
	token := row.Attempt.Token
	if rapid.IntRange(0, 14).Draw(t, "wrong token") == 0 {
		token = int64(rapid.IntRange(0, 9).Draw(t, "token"))
	}
	switch {
	case kind < 14 && row.Pooling() && rapid.IntRange(0, 9).Draw(t, "past its pool") > 0, kind == 23 && row.ID != 0:
		w.do(w.slots(r))
	case kind < 14 && row.Valid && row.State == flow.TaskQueued && rapid.IntRange(0, 9).Draw(t, "late result") > 0:
		w.do(Placed{Row: r, Session: 1, Worker: "w1"})
	case kind < 14 && row.State == flow.TaskDispatched && rapid.IntRange(0, 3).Draw(t, "starts") > 0:
		w.do(Started{Task: row.ID, Token: token, At: w.now})
	case kind < 14:
		w.do(Ended{Task: row.ID, Result: w.drawResult(t, token)})
	case kind == 14:
		w.do(Placed{Row: r, Session: 1, Worker: "w1"})
	case kind == 15:
		w.do(Lost{Task: row.ID, Token: token, Reason: "gone"})
		if rapid.Bool().Draw(t, "late") {
			w.do(Ended{Task: row.ID, Result: w.drawResult(t, token)})
		}
	case kind == 16:
		w.do(Refused{Task: row.ID, Token: token, Reason: "full"})
	case kind == 17:
		w.do(Suspected{Task: row.ID, Token: token})
	case kind == 18:
		w.do(rapid.SampledFrom([]Event{Rebound{Task: row.ID, Token: token, Session: 2}, Alive{Task: row.ID, Token: token}, Stuck{Row: r, Reason: "no_worker: none", Next: w.now + 1}, Begin{}}).Draw(t, "other"))
	case kind == 19:
		w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 7 * time.Second, 40 * time.Second}).Draw(t, "later"))
		w.do(Due{})
	case kind == 20 && w.inst.WakeAt != 0:
		w.now = max(w.now, w.inst.WakeAt)
		w.do(Due{})
	case kind == 21 && rapid.IntRange(0, 3).Draw(t, "break") == 0 && w.inst.State != flow.InstanceQuarantined:
		w.quarantine("poison")
		w.steps = append(w.steps, step{kind: "quarantine"})
	case kind == 22:
		w.s = w.load()
		w.steps = append(w.steps, step{kind: "reload"})
	default:
		w.drawVerb(t)
	}
}

// useful picks a row that something can happen to.
func (w *watched) useful(t *rapid.T) int32 {
	var live []int32
	for r := range w.s.Rows {
		if row := &w.s.Rows[r]; row.Valid && (row.Placed() || row.State == flow.TaskQueued) {
			live = append(live, int32(r))
		}
	}
	if len(live) == 0 {
		return -1
	}
	return rapid.SampledFrom(live).Draw(t, "live row")
}

func (w *watched) drawResult(t *rapid.T, token int64) flow.Result {
	res := flow.Result{Token: token, ExitCode: flow.NoExit, Ended: w.now, Confirmed: rapid.Bool().Draw(t, "confirmed")}
	if rapid.Bool().Draw(t, "with start") {
		res.Started = w.now
	}
	switch rapid.IntRange(0, 9).Draw(t, "how") {
	case 0, 1:
		res.State, res.Class, res.Cause, res.ExitCode = flow.AttemptFailed, flow.ClassUser, "exit:1", 1
	case 2:
		res.State, res.Class = flow.AttemptFailed, flow.ClassInfrastructure
	case 3:
		res.State = flow.AttemptKilled
	case 4:
		res.State = rapid.SampledFrom([]flow.AttemptState{flow.AttemptLost, flow.AttemptVoid, flow.AttemptGranted, flow.AttemptNone}).Draw(t, "odd state")
	case 5:
		res.State, res.Outputs = flow.AttemptSucceeded, json.RawMessage(rapid.SampledFrom([]string{`{"n":1}`, `no json`, `[1]`, `null`}).Draw(t, "outputs"))
	default:
		res.State = flow.AttemptSucceeded
	}
	return res
}

var allVerbs = []string{
	flow.VerbPause, flow.VerbResume, flow.VerbStop, flow.VerbRecover, flow.VerbRerun, flow.VerbRelease,
	flow.VerbTaskRetry, flow.VerbTaskSkip, flow.VerbTaskSucceed, flow.VerbTaskKill, flow.VerbTaskHold, flow.VerbTaskRelease, flow.VerbTaskStart, "task.dance", "dance",
}

func (w *watched) drawVerb(t *rapid.T) {
	v := flow.Verb{Name: rapid.SampledFrom(allVerbs).Draw(t, "verb"), Compensate: rapid.Bool().Draw(t, "compensate")}
	v.Task = string(rune('a' + rapid.IntRange(0, len(w.plan.nodes)).Draw(t, "task")))
	if rapid.IntRange(0, 9).Draw(t, "of compensation") == 0 {
		v.Task += compensateSuffix
	}
	if rapid.IntRange(0, 5).Draw(t, "of item") == 0 {
		v.Task = flow.ItemName(v.Task, rapid.IntRange(0, 2).Draw(t, "item"))
	}
	w.inbox++
	w.do(VerbGiven{Inbox: w.inbox, Verb: v})
}

// finish lets a run go to its end: every attempt ends as told, every hold is released.
func (w *watched) finish(st flow.AttemptState) {
	w.t.Helper()
	for range 500 {
		if w.inst.State.AtRest() {
			return
		}
		moved := false
		for r := range w.s.Rows {
			row := w.s.Rows[r]
			switch {
			case !row.Valid:
			case row.Pooling():
				w.do(w.slots(int32(r)))
				moved = true
			case row.State == flow.TaskQueued:
				w.do(Placed{Row: int32(r), Session: 1, Worker: "w1"})
				moved = true
			case row.Placed():
				w.do(Ended{Task: row.ID, Result: flow.Result{Token: row.Attempt.Token, State: st, Started: w.now, Ended: w.now, Confirmed: true}})
				moved = true
			case row.State == flow.TaskUnknown:
				w.give(flow.Verb{Name: flow.VerbTaskSucceed, Task: row.Name})
				moved = true
			case row.Held:
				w.give(flow.Verb{Name: flow.VerbTaskRelease, Task: row.Name})
				moved = true
			}
		}
		if !moved && w.inst.WakeAt != 0 {
			w.now = max(w.now, w.inst.WakeAt)
			w.do(Due{})
			moved = true
		}
		if !moved {
			w.t.Fatalf("the run is %s (%s) and nothing can happen", w.inst.State, w.inst.Reason)
		}
	}
	w.t.Fatalf("the run does not end: %s (%s)", w.inst.State, w.inst.Reason)
}

func (w *watched) give(v flow.Verb) flow.Outcome {
	w.inbox++
	w.do(VerbGiven{Inbox: w.inbox, Verb: v})
	return w.change.Outcomes[0]
}

// TestMain raises how many random runs a plain `go test` makes; -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "600"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func TestEveryRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def := drawWorkflow(t)
		var start flow.Start
		start.DryRun = rapid.IntRange(0, 9).Draw(t, "dry run") == 0
		if rapid.IntRange(0, 5).Draw(t, "choose") == 0 {
			start.Tasks = []string{def.Tasks[rapid.IntRange(0, len(def.Tasks)-1).Draw(t, "chosen")].Name}
			start.Mode = rapid.SampledFrom([]flow.StartMode{"", flow.StartBefore, flow.StartOnly}).Draw(t, "mode")
		}
		w := &watched{world: newWorld(t, def, start), tokens: map[flow.ID]int64{}}
		w.t = traced{t, w}
		w.do(Begin{})
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			w.drawEvent(t)
		}
		switch rapid.IntRange(0, 2).Draw(t, "end") {
		case 0:
			w.stopped()
		case 1:
			w.recovered()
		}
		w.replay(t, def, start)
	})
}

// stopped: after stop, and once every kill is confirmed, the run has ended.
func (w *watched) stopped() {
	w.t.Helper()
	if w.inst.State.Ended() {
		return
	}
	if o := w.give(flow.Verb{Name: flow.VerbStop}); !o.Applied {
		w.t.Fatalf("stop was refused: %s", o.Reason)
	}
	for r := range w.s.Rows {
		if row := w.s.Rows[r]; row.Valid && row.Placed() {
			w.do(Ended{Task: row.ID, Result: flow.Result{Token: row.Attempt.Token, State: flow.AttemptKilled, Confirmed: true}})
		}
	}
	if w.inst.State == flow.InstanceCompensating || w.s.ending { // it was about to fail when it was stopped
		w.finish(flow.AttemptSucceeded)
	}
	if !w.inst.State.Ended() {
		w.t.Fatalf("the run was stopped, all kills are confirmed, and it is %s (%s)", w.inst.State, w.inst.Reason)
	}
}

// recovered: a run that is recovered and whose tasks all succeed has succeeded.
func (w *watched) recovered() {
	w.t.Helper()
	if w.inst.State == flow.InstanceQuarantined {
		w.give(flow.Verb{Name: flow.VerbRelease})
	}
	if w.inst.State == flow.InstancePaused || w.inst.State == flow.InstancePausing {
		w.give(flow.Verb{Name: flow.VerbResume})
	}
	w.finish(flow.AttemptSucceeded)
	for range 3 { // a run timeout may strike while the clock is moved on
		if w.inst.State == flow.InstanceSucceeded {
			return
		}
		if o := w.give(flow.Verb{Name: flow.VerbRecover}); !o.Applied {
			w.t.Fatalf("recover of a run that %s was refused: %s", w.inst.State, o.Reason)
		}
		w.finish(flow.AttemptSucceeded)
	}
	if w.inst.State != flow.InstanceSucceeded && !w.inst.Due {
		w.t.Fatalf("recovered, every task succeeded, and the run is %s (%s)", w.inst.State, w.inst.Reason)
	}
}

// replay: the same events give the same rows.
func (w *watched) replay(t *rapid.T, def flow.Workflow, start flow.Start) {
	w.t.Helper()
	again := newWorld(t, def, start)
	for _, st := range w.steps {
		switch st.kind {
		case "quarantine":
			again.quarantine("poison")
		case "reload":
			again.s = again.load()
		default:
			again.now = st.now
			again.apply(st.ev)
		}
	}
	if !reflect.DeepEqual(w.inst, again.inst) || !reflect.DeepEqual(w.rows, again.rows) || !reflect.DeepEqual(w.past, again.past) {
		t.Fatalf("the same events gave other rows")
	}
}
