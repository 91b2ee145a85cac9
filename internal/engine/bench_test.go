package engine

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"baton/internal/flow"
)

// bare drives a state as a master does, without the checks of world.
type bare struct {
	s      *State
	now    flow.Time
	lastID flow.ID
	token  int64
	queue  []int32
	steps  int
	first  json.RawMessage // outputs of what runs first
}

func (d *bare) apply(ev Event) {
	fx := Apply(d.s, ev, Env{Now: d.now, NextID: func() flow.ID { d.lastID++; return d.lastID }})
	d.queue = append(d.queue, fx.Queued...)
	if !d.s.Dirty() {
		return
	}
	_, granted := d.s.Take(0)
	for _, r := range granted {
		d.token++
		d.s.SetToken(r, d.token)
		if _, err := d.s.Order(r); err != nil {
			panic(err)
		}
	}
}

// run drives an instance to its end: grant, start and end of every task.
func (d *bare) run(plan *Plan) {
	d.lastID++
	s, err := New(plan, flow.Command{ID: d.lastID, Start: []byte("{}"), At: d.now})
	if err != nil {
		panic(err)
	}
	d.s, d.queue = s, d.queue[:0]
	d.apply(Begin{})
	for i := 0; i < len(d.queue); i++ { //nolint:intrange // the queue grows meanwhile
		r := d.queue[i]
		d.now++
		d.apply(Placed{Row: r, Session: 1, Worker: "w1"})
		task, token := d.s.Rows[r].ID, d.s.Rows[r].Attempt.Token
		d.apply(Started{Task: task, Token: token, At: d.now})
		res := flow.Result{Token: token, State: flow.AttemptSucceeded, ExitCode: 0, Started: d.now, Ended: d.now, Confirmed: true}
		if i == 0 {
			res.Outputs = d.first
		}
		d.apply(Ended{Task: task, Result: res})
		d.steps++
	}
	if d.s.Inst.State != flow.InstanceSucceeded {
		panic(fmt.Sprintf("%s (%s)", d.s.Inst.State, d.s.Inst.Reason))
	}
}

func chainOf(n int, typ string) flow.Workflow {
	var w flow.Workflow
	for i := range n {
		t := flow.Task{Name: fmt.Sprintf("t%d", i), Type: typ, With: json.RawMessage(`{"script":"true"}`)}
		if i > 0 {
			t.Needs = []string{w.Tasks[i-1].Name}
		}
		w.Tasks = append(w.Tasks, t)
	}
	return w
}

func fanOf(n int, typ string) flow.Workflow {
	w := chainOf(1, typ)
	join := flow.Task{Name: "join", Type: typ, With: json.RawMessage(`{"script":"true"}`)}
	for i := range n {
		t := flow.Task{Name: fmt.Sprintf("f%d", i), Type: typ, Needs: []string{"t0"}, With: json.RawMessage(`{"script":"true"}`)}
		join.Needs = append(join.Needs, t.Name)
		w.Tasks = append(w.Tasks, t)
	}
	w.Tasks = append(w.Tasks, join)
	return w
}

// mapOf is a map over a list of n that a task before it gives, and that list.
func mapOf(n int) (w flow.Workflow, list json.RawMessage) {
	w = chainOf(2, "shell")
	w.Tasks[1].Type, w.Tasks[1].With = flow.TypeMap, json.RawMessage(`{"over":"${list}"}`)
	w.Tasks[1].Inner = &flow.Task{Type: "shell", With: json.RawMessage(`{"script":"echo ${map.item}"}`)}
	items := make([]string, n)
	for i := range items {
		items[i] = "i" + strconv.Itoa(i%10)
	}
	list, _ = json.Marshal(map[string][]string{"list": items})
	return w, list
}

func benchmarkMap(b *testing.B, n int) {
	b.Helper()
	def, list := mapOf(n)
	benchmark(b, def, &bare{now: epoch, first: list})
}

func benchmarkRun(b *testing.B, def flow.Workflow) {
	b.Helper()
	benchmark(b, def, &bare{now: epoch})
}

func benchmark(b *testing.B, def flow.Workflow, d *bare) {
	b.Helper()
	plan := compileTest(b, def)
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	for range b.N {
		d.run(plan)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(d.steps), "ns/step")
	b.ReportMetric(float64(cpu()-used)/float64(d.steps), "cpu-ns/step")
}

// cpu is the processor time this process has used, in nanoseconds: what counts on a shared machine.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// A step is a task's grant, start and end, with the orders rendered.
func BenchmarkChain10(b *testing.B)      { benchmarkRun(b, chainOf(10, "call")) }
func BenchmarkChain10Shell(b *testing.B) { benchmarkRun(b, chainOf(10, "shell")) }
func BenchmarkFan1000(b *testing.B)      { benchmarkRun(b, fanOf(1000, "call")) }
func BenchmarkFan1000Shell(b *testing.B) { benchmarkRun(b, fanOf(1000, "shell")) }
func BenchmarkFan10000(b *testing.B)     { benchmarkRun(b, fanOf(9998, "call")) }

// What an item of a map costs does not depend on how many there are.
func BenchmarkMap1000(b *testing.B)  { benchmarkMap(b, 1000) }
func BenchmarkMap5000(b *testing.B)  { benchmarkMap(b, 5000) }
func BenchmarkMap10000(b *testing.B) { benchmarkMap(b, 10000) }

func BenchmarkLoad10(b *testing.B) {
	plan := compileTest(b, chainOf(10, "shell"))
	d := &bare{now: epoch}
	d.run(plan)
	l := flow.Loaded{Instance: d.s.Inst, Tasks: d.s.Rows}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(plan, l); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile10(b *testing.B) {
	def := chainOf(10, "shell")
	b.ReportAllocs()
	for b.Loop() {
		compileTest(b, def)
	}
}

// BenchmarkMemory tells what a parked chain of ten costs in memory while it is loaded.
func BenchmarkMemory(b *testing.B) {
	plan := compileTest(b, chainOf(10, "shell"))
	d := &bare{now: epoch}
	d.run(plan)
	rows := d.s.Rows
	const n = 2000
	for range b.N {
		states := make([]*State, n)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range states {
			s, err := Load(plan, flow.Loaded{Instance: d.s.Inst, Tasks: append([]flow.TaskRow(nil), rows...)})
			if err != nil {
				b.Fatal(err)
			}
			states[i] = s
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/instance")
		b.ReportMetric(float64(states[0].Size()), "Size()")
		runtime.KeepAlive(states)
	}
}
