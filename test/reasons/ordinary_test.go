package reasons

import (
	"strings"
	"testing"

	"baton/test/harness"
)

// wanting is a file and a course of events, after which something waits. In the texts W is the name of its workflow.
type wanting struct {
	name string
	file string
	then func(t *testing.T, w *world, name string) (run string)
	want wait
}

// runs is the course of events of most: the workflow is run.
func runs(args ...string) func(*testing.T, *world, string) string {
	return func(t *testing.T, w *world, name string) string {
		t.Helper()
		return w.begin(t, name, args...)
	}
}

// after runs the workflow, waits until a task of it stands so, and gives verbs; RUN is the run.
func after(task, state string, verbs ...string) func(*testing.T, *world, string) string {
	return func(t *testing.T, w *world, name string) string {
		t.Helper()
		id := w.begin(t, name)
		w.until(t, id, task, state)
		w.verbs(t, id, verbs...)
		return id
	}
}

func (w *world) until(t *testing.T, id, task, state string) {
	t.Helper()
	harness.Eventually(t, "task "+task+" is "+state, func() bool {
		_, tasks := w.told(t, id, task)
		return tasks[task].State == state
	})
}

func (w *world) verbs(t *testing.T, id string, verbs ...string) {
	t.Helper()
	for _, verb := range verbs {
		args := append(strings.Fields(strings.ReplaceAll(verb, "RUN", id)), w.as...)
		if r := w.s.Baton(t, args...); r.Code > 1 { // 1: what was waited for is no success
			t.Fatalf("baton %s: exit %d\n%s%s", verb, r.Code, r.Stdout, r.Stderr)
		}
	}
}

// Scripts that go on until the test is over, and what does not mind SIGTERM.
const (
	on       = `"while [ -d \"$HOME\" ]; do sleep 0.2; done"`
	stubborn = `"trap '' TERM; while [ -d \"$HOME\" ]; do sleep 0.2; done"`
)

var tasksThatWait = []wanting{
	{"delay", "tasks: {a: {run: 'true', delay: 1h}}", runs(), wait{task: "a", state: "waiting", says: []string{"delay: ", "wait 1h after"}, ends: true}},
	{"delay, resumed", "tasks: {a: {run: 'true', delay: 1h}}", after("a", "waiting", "pause RUN --wait", "resume RUN"), wait{task: "a", state: "waiting", says: []string{"delay: the task asks to wait after"}, ends: true}},
	{"retry delay", "tasks: {a: {run: exit 3, retry: {times: 1, delay: 1h}}}", runs(), wait{task: "a", state: "waiting", says: []string{"retry_delay: ", "attempt 1 ended with exit:3", "after 1h"}, ends: true}},
	{"retry delay, resumed", "tasks: {a: {run: exit 3, retry: {times: 1, delay: 1h}}}", after("a", "waiting", "pause RUN --wait", "resume RUN"), wait{task: "a", state: "waiting", says: []string{"retry_delay: the next try is due later"}, ends: true}},
	{"hold", "tasks: {a: {run: 'true', worker_group: nowhere}}", after("a", "queued", "task hold RUN a"), wait{task: "a", state: "waiting", says: []string{"held: ", "baton task release"}}},
	{"wait for", "tasks: {a: {type: wait, with: {for: 1h}}}", runs(), wait{task: "a", state: "running", says: []string{"wait: waits until 20"}, ends: true}},
	{"wait until", "tasks: {a: {type: wait, with: {until: 2099-01-01}}}", runs(), wait{task: "a", state: "running", says: []string{"wait: ", "2099-01-01T00:00:00"}, ends: true}},
	{"wait for an event", "tasks: {a: {type: wait, with: {event: loaded}}}", runs(), wait{task: "a", state: "running", says: []string{"wait: ", "event loaded of project default", "baton event loaded"}}},
	{"approval", "tasks: {a: {type: approval, with: {message: Ship it?, approvers: [user:ann], options: [now, later]}}}", runs(), wait{task: "a", state: "running", says: []string{"approval: user:ann decides", "--choose now|later", "Ship it?"}}},
	{"a group that nobody serves", "tasks: {a: {run: 'true', worker_group: nowhere}}", runs(), wait{task: "a", state: "queued", says: []string{"no_worker: ", `group "nowhere"`, "the groups served are default"}}},
	{"running", "tasks: {a: {run: " + on + "}}", runs(), wait{task: "a", state: "running", says: []string{"running: on worker "}}},
	{"killing", "tasks: {a: {run: " + stubborn + "}}", after("a", "running", "task kill RUN a"), wait{task: "a", state: "running", says: []string{"killing: ", "on worker ", "process tree"}}},
	{"paused", "tasks: {a: {run: 'true', delay: 1h}}", after("a", "waiting", "pause RUN"), wait{task: "a", state: "paused", says: []string{"paused: the run is paused", "baton resume"}, ends: true}},
	{"paused, and the run has ended", "tasks: {a: {run: " + on + "}, b: {run: 'true', delay: 1h}}", after("a", "running", "pause RUN", "task kill RUN a"), wait{task: "b", state: "paused", says: []string{"paused: the run ended while it was paused", "baton recover"}, ends: true}},

	{"child", "tasks: {a: {type: sub_workflow, with: {workflow: W below}}}\n---\nname: W below\ntasks: {x: {run: 'true', delay: 1h}}", runs(), wait{task: "a", state: "running", says: []string{"child: waits for run ", "of workflow W below"}}},
	{"child, asked to pause", "tasks: {a: {type: sub_workflow, with: {workflow: W below}}}\n---\nname: W below\ntasks: {x: {run: " + on + "}}", withChild("x", "running", "pause RUN"), wait{task: "a", state: "running", says: []string{"child: run ", "is pausing"}}},
	{"child, paused", "tasks: {a: {type: sub_workflow, with: {workflow: W below}}}\n---\nname: W below\ntasks: {x: {run: 'true', delay: 1h}}", withChild("x", "waiting", "pause CHILD"), wait{task: "a", state: "running", says: []string{"child: run ", "is paused", "baton resume "}}},
	{"child, killing", "tasks: {a: {type: sub_workflow, with: {workflow: W below}}}\n---\nname: W below\ntasks: {x: {run: " + stubborn + "}}", withChild("x", "running", "stop RUN"), wait{task: "a", state: "running", says: []string{"killing: run ", "was asked to stop"}}},
	{"child, resumed", "tasks: {a: {type: sub_workflow, with: {workflow: W below}}}\n---\nname: W below\ntasks: {x: {run: 'true', delay: 1h}}", withChild("x", "waiting", "pause RUN --wait", "resume RUN"), wait{task: "a", state: "running", says: []string{"child: waits for run "}}},

	{"dependent, no run", "tasks: {a: {type: dependent, with: {all: [{workflow: W up, window: same}]}}}\n---\nname: W up\ntasks: {x: {type: noop}}", runs("--data-time", "2026-03-01"), wait{task: "a", state: "running", says: []string{"dependent: waits for default/W up of 2026-03-01", "no run yet"}, ends: true}},
	{"dependent, no workflow", "tasks: {a: {type: dependent, with: {all: [{workflow: W up, window: same}]}}}", runs(), wait{task: "a", state: "running", says: []string{"dependent: waits for workflow default/W up, which does not exist"}, ends: true}},
	{"dependent, not ended", "tasks: {a: {type: dependent, with: {all: [{workflow: W up, window: same}]}}}\n---\nname: W up\ntasks: {x: {type: noop, delay: 1h}}", upstream("running"), wait{task: "a", state: "running", says: []string{"dependent: waits for default/W up of ", " is running"}, ends: true}},
	{"dependent, failed", "tasks: {a: {type: dependent, with: {all: [{workflow: W up, window: same}], on_failure: wait}}}\n---\nname: W up\ntasks: {x: {run: 'false'}}", upstream("failed"), wait{task: "a", state: "running", says: []string{"dependent: waits for somebody to mend default/W up of ", " is failed"}, ends: true}},

	{"map", "tasks: {a: {type: map, with: {over: [x, y, z], task: {run: " + on + "}}}}", runs(), wait{task: "a", state: "running", says: []string{"map: waits for its 3 items"}}},
	{"map, some at a time", "tasks: {a: {type: map, with: {over: [x, y, z], parallel: 2, task: {run: " + on + "}}}}", runs(), wait{task: "a", state: "running", says: []string{"map: ", "3 items, of which 2 run at a time"}}},
	{"map, killing", "tasks: {a: {type: map, with: {over: [x], task: {run: " + stubborn + "}}}}", after("a[0]", "running", "task kill RUN a"), wait{task: "a", state: "running", says: []string{"killing: waits until nothing of its items"}}},
	{"loop", "tasks: {a: {type: loop, with: {until: done == 1, task: {run: " + on + "}}}}", runs(), wait{task: "a", state: "running", says: []string{"loop: goes round until done == 1"}}},
	{"loop, between rounds", "params: {n: 0}\ntasks: {a: {type: loop, with: {until: int(n) > 5, delay: 1h, task: {run: 'true'}}}}", runs(), wait{task: "a[1]", state: "waiting", says: []string{"delay: the loop asks to wait between rounds"}, ends: true}},

	{"pool, full", pooled("slots: 1", "slots: 1", on), beside("a", "running"), wait{task: "a", state: "queued", says: []string{"pool: waits for 1 of 1 slot of pool W", "1 is held by run OTHER (task a)"}}},
	{"pool, others before it", pooled("slots: 1", "slots: 1", on), func(t *testing.T, w *world, name string) string {
		w.until(t, w.begin(t, name), "a", "running")
		w.until(t, w.begin(t, name), "a", "queued")
		return w.begin(t, name)
	}, wait{task: "a", state: "queued", says: []string{"pool: ", "1 waits before it"}}},
	{"pool, closed", pooled("slots: 1, closed: true", "slots: 1", on), runs(), wait{task: "a", state: "queued", says: []string{"pool: ", "the pool is closed", "baton pool open W"}}},
	{"pool, without slots", pooled("slots: 0", "slots: 1", on), runs(), wait{task: "a", state: "queued", says: []string{"pool: ", "the pool has no slots", "baton pool set W --slots"}}},
	{"pool, too small", pooled("slots: 2", "slots: 2", on), func(t *testing.T, w *world, name string) string {
		w.baton(t, "pool", "set", name, "--slots", "1")
		return w.begin(t, name)
	}, wait{task: "a", state: "queued", says: []string{"pool: waits for 2 of 1 slot", "asks for more than there are", "baton pool set W --slots 2"}}},
	{"mutex of a key", pooled("slots: 1", "key: north", on), beside("a", "running"), wait{task: "a", state: "queued", says: []string{"pool: ", "north", "held by run OTHER (task a)"}}},

	{"upstream", "tasks: {a: {run: " + on + "}, b: {needs: [a], run: 'true'}}", after("a", "running"), wait{task: "b", says: []string{"upstream: waits for a (running on worker "}, noRow: true}},
	{"at the end", "tasks: {a: {run: " + on + "}}\nfinally: {z: {run: 'true'}}", after("a", "running"), wait{task: "z", says: []string{"finally: begins when all tasks before have ended"}, noRow: true}},
	{"not chosen", "tasks: {a: {run: 'true', delay: 1h}, b: {needs: [a], run: 'true'}}", runs("--tasks", "a", "--mode", "only"), wait{task: "b", says: []string{"not_chosen: "}, noRow: true}},
	{"unreached", "tasks: {a: {run: exit 1}, b: {needs: [a], run: 'true'}}", runs(), wait{task: "b", state: "unreached", says: []string{"unreached: needs a, which failed"}, noRow: true}},
	{"not started, it waits its turn", "execution: serial_wait\ntasks: {a: {run: 'true', delay: 1h}}", beside("a", "waiting"), wait{task: "a", says: []string{"not_started: the run is queued (turn: "}, noRow: true}},
	{"not started, and the run has ended", "execution: serial_wait\ntasks: {a: {run: 'true', delay: 1h}}", func(t *testing.T, w *world, name string) string {
		w.until(t, w.begin(t, name), "a", "waiting")
		id := w.begin(t, name)
		w.verbs(t, id, "stop RUN --wait")
		return id
	}, wait{task: "a", says: []string{"not_started: the run ended before it came to this task (stopped"}, noRow: true}},
}

var runsThatWait = []wanting{
	{"run, running", "tasks: {a: {run: " + on + "}}", after("a", "running"), wait{state: "running", says: []string{"running: "}}},
	{"run, one waits", "tasks: {a: {run: 'true', delay: 1h}}", runs(), wait{state: "running", says: []string{"waiting: task a: delay: "}}},
	{"run, several wait", "tasks: {a: {run: 'true', delay: 1h}, b: {type: wait, with: {for: 1h}}}", runs(), wait{state: "running", says: []string{"waiting: 2 tasks wait", "baton explain"}}},
	{"run, queued", "tasks: {a: {run: 'true', worker_group: nowhere}}", runs(), wait{state: "running", says: []string{"queued: tasks wait for a place"}}},
	{"run, one after another", "execution: serial_wait\ntasks: {a: {run: 'true', delay: 1h}}", beside("a", "waiting"), wait{state: "queued", says: []string{"turn: runs of this workflow go one after another", "OTHER (running)"}}},
	{"run, one too many", "execution: {limit: 2}\ntasks: {a: {run: 'true', delay: 1h}}", func(t *testing.T, w *world, name string) string {
		w.until(t, w.begin(t, name), "a", "waiting")
		w.until(t, w.begin(t, name), "a", "waiting")
		return w.begin(t, name)
	}, wait{state: "queued", says: []string{"turn: at most 2 runs", "before it: "}}},
	{"run, pausing", "tasks: {a: {run: " + on + "}}", after("a", "running", "pause RUN"), wait{state: "pausing", says: []string{"pausing: "}}},
	{"run, paused", "tasks: {a: {run: 'true', delay: 1h}}", after("a", "waiting", "pause RUN"), wait{state: "paused", says: []string{"paused: paused by hand", "baton resume"}}},
	{"run, stopping", "tasks: {a: {run: " + stubborn + "}}", after("a", "running", "stop RUN"), wait{state: "stopping", says: []string{"stopping: "}}},
	{"run, a failure ends it", "failure: end\ntasks: {a: {run: " + stubborn + "}, b: {type: wait, with: {event: broken}}, c: {needs: [b], run: exit 1}}", after("a", "running", "event broken"), wait{state: "running", says: []string{"failure_end: "}}},
	{"run, its time is over", "timeout: {run: 5s, action: fail}\ntasks: {a: {run: " + stubborn + "}}", after("a", "running"), wait{state: "running", says: []string{"timeout: the run's time is over"}}},
	{"run, at its end", "tasks: {a: {run: 'true'}}\nfinally: {z: {run: " + on + "}}", after("z", "running"), wait{state: "running", says: []string{"finally: the run will end succeeded; before that, tasks are running"}}},
	{"run, killed at its end", "tasks: {a: {run: 'true'}}\nfinally: {z: {run: " + stubborn + "}}", after("z", "running", "stop RUN"), wait{state: "stopping", says: []string{"finally: the run will end succeeded; its last tasks are being killed"}}},
	{"run, compensating", "tasks: {a: {run: 'true', compensate: {run: " + on + "}}, b: {needs: [a], run: exit 1}}", runs(), wait{state: "compensating", says: []string{"compensating: "}}},
}

// pooled is a pool with a task that takes slots of it.
func pooled(pool, takes, script string) string {
	return "tasks: {a: {run: " + script + ", pool: {name: W, " + takes + "}}}\n---\n{kind: Pool, name: W, " + pool + "}"
}

// beside begins one run, and when its task stands so another one, which is the one that waits; the first one is OTHER in the texts.
func beside(task, state string) func(*testing.T, *world, string) string {
	return func(t *testing.T, w *world, name string) string {
		t.Helper()
		first := w.begin(t, name)
		w.until(t, first, task, state)
		return w.begin(t, name) + " " + first
	}
}

// withChild gives verbs when a task of the run below stands so; CHILD is that run.
func withChild(task, state string, verbs ...string) func(*testing.T, *world, string) string {
	return func(t *testing.T, w *world, name string) string {
		t.Helper()
		id := w.begin(t, name)
		child := ""
		harness.Eventually(t, "a child", func() bool {
			_, tasks := w.instance(t, id)
			_, rest, found := strings.Cut(tasks["a"].Reason, "waits for run ")
			child, _, _ = strings.Cut(rest, " ")
			return found
		})
		w.until(t, child, task, state)
		for _, verb := range verbs {
			w.verbs(t, id, strings.ReplaceAll(verb, "CHILD", child))
		}
		return id
	}
}

// upstream begins the run that a dependent waits for, and when that stands so the dependent.
func upstream(state string) func(*testing.T, *world, string) string {
	return func(t *testing.T, w *world, name string) string {
		t.Helper()
		const at = "2026-03-01T00:00:00Z"
		up := w.begin(t, name+" up", "--data-time", at)
		harness.Eventually(t, "the upstream is "+state, func() bool {
			run, _ := w.instance(t, up)
			return run.State == state
		})
		return w.begin(t, name, "--data-time", at)
	}
}

// provoke runs one case.
func (w *world) provoke(t *testing.T, c wanting) {
	t.Helper()
	name := strings.ReplaceAll(c.name, ",", "")
	id, other, _ := strings.Cut(c.then(t, w, name), " ")
	want := c.want
	want.task = strings.ReplaceAll(want.task, "W", name)
	want.says = nil
	for _, word := range c.want.says {
		want.says = append(want.says, strings.NewReplacer("W", name, "OTHER", other).Replace(word))
	}
	w.sees(t, id, want)
}

// files are the workflows of all cases.
func files(cases ...wanting) string {
	var out []string
	for _, c := range cases {
		name := strings.ReplaceAll(c.name, ",", "")
		out = append(out, "name: "+name+"\n"+strings.ReplaceAll(c.file, "W", name))
	}
	return strings.Join(out, "\n---\n")
}
