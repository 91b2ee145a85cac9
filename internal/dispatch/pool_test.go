package dispatch

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"baton/internal/flow"
)

func pool(sessions ...Session) *Pool {
	p := NewPool()
	for _, s := range sessions {
		p.Join(s)
	}
	return p
}

func session(id int64, slots int, groups ...string) Session {
	if len(groups) == 0 {
		groups = []string{"default"}
	}
	return Session{ID: id, Name: fmt.Sprintf("w%d", id), Groups: groups, Slots: Places{slots}, Room: Places{slots}}
}

func item(task flow.ID, group string, p flow.Priority) Item {
	return Item{Instance: 1000 + task, Task: task, Group: group, Priority: p}
}

// order places everything that can be placed and names the tasks in order.
func order(p *Pool) string {
	var out []string
	for {
		pl, ok := p.Next()
		if !ok {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprintf("%d@%s", pl.Item.Task, pl.Worker))
	}
}

func TestPriorityThenAgeThenRecovery(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 10))
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	p.Enqueue(item(2, "default", flow.PriorityLow))
	p.Enqueue(item(3, "default", flow.PriorityHighest))
	lost := item(4, "default", flow.PriorityMedium)
	lost.Again = true
	p.Enqueue(lost)
	p.Enqueue(item(5, "default", flow.PriorityMedium))
	if got, want := order(p), "3@w1 4@w1 1@w1 5@w1 2@w1"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
}

func TestEmptiestSessionFirst(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 4), session(2, 4), session(3, 2))
	for i := range flow.ID(10) {
		p.Enqueue(item(i+1, "default", flow.PriorityMedium))
	}
	if got, want := order(p), "1@w1 2@w2 3@w3 4@w1 5@w2 6@w1 7@w2 8@w3 9@w1 10@w2"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
}

func TestLoadCounts(t *testing.T) {
	t.Parallel()
	busy := session(1, 10)
	busy.CPU, busy.Memory = 0.9, 0.5
	p := pool(busy, session(2, 10))
	p.Hold(100, 1, 2, "")
	p.Hold(101, 1, 2, "")
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	if got := order(p); got != "1@w2" {
		t.Errorf("placed %s; the idle worker with two tasks is better off than the busy one with none", got)
	}
}

func TestOneGroupNeverHoldsUpAnother(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 1, "default"), session(2, 1, "spark"))
	p.Enqueue(item(1, "nobody", flow.PriorityHighest))
	p.Enqueue(item(2, "default", flow.PriorityHigh))
	p.Enqueue(item(3, "default", flow.PriorityHigh))
	p.Enqueue(item(4, "spark", flow.PriorityLowest))
	if got, want := order(p), "2@w1 4@w2"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	p.Release(2)
	if got, want := order(p), "3@w1"; got != want {
		t.Errorf("placed %s after a release, want %s", got, want)
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	draining := session(3, 2, "old")
	draining.Draining = true
	full := pool(session(1, 1), session(2, 1), draining)
	full.Hold(1, 1, 1, "")
	full.Hold(2, 1, 2, "")
	refusing := pool(session(1, 1))
	refusing.Session(1).Refusal = "its disk is full"
	for _, c := range []struct {
		p           *Pool
		group, want string
	}{
		{NewPool(), "default", `no_worker: no worker is connected; the task needs one of group "default"`},
		{full, "spark", `no_worker: no worker serves group "spark"; the groups served are default, old`},
		{full, "old", `no_worker: every worker of group "old" is draining`},
		{full, "default", `no_slot: all 2 places of the 2 workers of group "default" are taken; it goes on when one is free`},
		{refusing, "default", `no_slot: no place on the 1 workers of group "default": worker w1 takes nothing now (its disk is full), and is asked again after a while`},
	} {
		if got := c.p.Why(c.group, "noop"); got != c.want {
			t.Errorf("group %s: %s\nwant %s", c.group, got, c.want)
		}
	}
}

func TestUntoldTellsOnce(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 1))
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	p.Enqueue(item(2, "default", flow.PriorityMedium))
	order(p)
	if got := p.Untold(10); len(got) != 1 || got[0].Task != 2 {
		t.Errorf("untold %v, want task 2 alone", got)
	}
	if got := p.Untold(10); len(got) != 0 {
		t.Errorf("told twice: %v", got)
	}
}

// What waits is told again when the cause changes, some at a time, and not when only numbers do.
func TestUntoldFollowsTheCause(t *testing.T) {
	t.Parallel()
	p := pool()
	for i := range flow.ID(5) {
		p.Enqueue(item(i+1, "default", flow.PriorityMedium))
	}
	if got := p.Untold(2); len(got) != 5 {
		t.Fatalf("told %d", len(got))
	}
	p.Join(session(1, 1))
	if got := order(p); got != "1@w1" {
		t.Fatal(got)
	}
	for _, want := range []int{2, 2, 0} {
		if got := p.Untold(2); len(got) != want {
			t.Errorf("told %d again, want %d: all slots are taken now", len(got), want)
		}
	}
	p.Join(session(2, 1)) // more of the same
	order(p)
	if got := p.Untold(2); len(got) != 0 {
		t.Errorf("told again for another number of workers: %v", got)
	}
	p.Leave(1)
	p.Leave(2)
	if got := p.Untold(10); len(got) != 3 {
		t.Errorf("told %d that nobody is left, want 3", len(got))
	}
}

func typed(id int64, slots int, types ...string) Session {
	s := session(id, slots)
	s.Types = types
	return s
}

// What only some workers can run goes to them, by priority over all types, and holds up nobody.
func TestOnlyToWhoHasTheType(t *testing.T) {
	t.Parallel()
	p := pool(typed(1, 2, "noop"), typed(2, 2, "noop", "sql"))
	for i, typ := range []string{"spark", "sql", "noop", "sql", "noop"} {
		it := item(flow.ID(i+1), "default", flow.PriorityMedium)
		it.Type = typ
		p.Enqueue(it)
	}
	first := item(9, "default", flow.PriorityHigh)
	first.Type = "sql"
	p.Enqueue(first)
	if got, want := order(p), "9@w2 2@w2 3@w1 5@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	if got, want := p.Why("default", "spark"), `no_worker: no worker of group "default" has type "spark", such as w1, which has noop; it goes on when one with it joins`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := p.Why("default", "sql"); !strings.HasPrefix(got, "no_slot: all 2 places of the 1 workers") {
		t.Error(got)
	}
}

// A session that did not say which types it has is asked once.
func TestLacks(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 2))
	it := item(1, "default", flow.PriorityMedium)
	it.Type = "sql"
	p.Enqueue(it)
	if got := order(p); got != "1@w1" {
		t.Fatalf("placed %s", got)
	}
	p.Lacks(1, "sql")
	p.Release(1)
	p.Enqueue(it)
	if got := order(p); got != "" {
		t.Errorf("asked again: %s", got)
	}
	if got := p.Why("default", "sql"); !strings.Contains(got, `has type "sql"`) {
		t.Error(got)
	}
	p.Join(session(1, 2)) // it may have been upgraded
	if got := order(p); got != "1@w1" {
		t.Errorf("placed %s after it joined anew", got)
	}
}

// A session that comes back finds what it held; slots never leak whatever the order of events.
func TestSlotsNeverLeak(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := NewPool()
		held := map[flow.ID]int64{}
		joined := map[int64]bool{}
		slots := map[int64]int{1: 1, 2: 2, 3: 5}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				id := rapid.Int64Range(1, 3).Draw(t, "session")
				p.Join(session(id, slots[id]))
				joined[id] = true
			},
			"leave": func(t *rapid.T) {
				id := rapid.Int64Range(1, 3).Draw(t, "session")
				p.Leave(id)
				delete(joined, id)
			},
			"enqueue": func(t *rapid.T) {
				p.Enqueue(item(flow.ID(rapid.Int64Range(1, 30).Draw(t, "task")), "default", flow.PriorityMedium))
			},
			"place": func(t *rapid.T) {
				if pl, ok := p.Next(); ok {
					if !joined[pl.Session] {
						t.Fatalf("placed on session %d, which is away", pl.Session)
					}
					held[pl.Item.Task] = pl.Session
				}
			},
			"hold": func(t *rapid.T) {
				task, id := flow.ID(rapid.Int64Range(1, 30).Draw(t, "task")), rapid.Int64Range(1, 3).Draw(t, "session")
				p.Hold(task, 1, id, "")
				held[task] = id
			},
			"release": func(t *rapid.T) {
				task := flow.ID(rapid.Int64Range(1, 30).Draw(t, "task"))
				p.Release(task)
				delete(held, task)
			},
			"": func(t *rapid.T) {
				count := map[int64]int{}
				for task, id := range held {
					count[id]++
					if p.Holder(task) != id {
						t.Fatalf("task %d is held by %d, want %d", task, p.Holder(task), id)
					}
				}
				for _, s := range p.Sessions() {
					if s.Used(Process) != count[s.ID] {
						t.Fatalf("session %d counts %d, %d are held", s.ID, s.Used(Process), count[s.ID])
					}
				}
			},
		})
	})
}

// A row that was enqueued twice, as one that was held and released, is placed once: its slot stays
// with the session that has its attempt.
func TestEnqueuedTwiceIsPlacedOnce(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 2), session(2, 2))
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	if got, want := order(p), "1@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	if h := p.Holder(1); h != 1 {
		t.Errorf("the slot is held at session %d", h)
	}
	if p.Len() != 0 {
		t.Errorf("%d items are left", p.Len())
	}
}

// A worker is shared with other masters: only the room it gave is filled, and more is asked for.
func TestRoomIsNotExceeded(t *testing.T) {
	t.Parallel()
	shared := session(1, 8)
	shared.Room = Places{2}
	p := pool(shared)
	for i := range 5 {
		p.Enqueue(item(flow.ID(i+1), "default", flow.PriorityMedium))
	}
	p.Enqueue(item(9, "other", flow.PriorityMedium))
	if got, want := order(p), "1@w1 2@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	if got := p.Wants(p.Session(1)); got != (Places{3}) {
		t.Errorf("it wants %v more places, not 3", got)
	}
	p.Session(1).Room = Places{4}
	if got, want := order(p), "3@w1 4@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
}

// Functions and processes have places of their own; a worker of an older version has one sort.
func TestFunctionsTakeNoPlaceOfProcesses(t *testing.T) {
	t.Parallel()
	p := NewPool()
	p.Functions = func(typ string) bool { return typ == "http" }
	p.Join(Session{ID: 1, Name: "w1", Groups: []string{"default"}, Slots: Places{1, 3}, Room: Places{1, 2}})
	p.Join(Session{ID: 2, Name: "old", Groups: []string{"default"}, Slots: Places{2}, Room: Places{2}})
	for i, typ := range []string{"shell", "http", "shell", "http", "shell", "http", "http"} {
		it := item(flow.ID(i+1), "default", flow.PriorityMedium)
		it.Type = typ
		p.Enqueue(it)
	}
	if got, want := order(p), "1@w1 2@w1 3@old 4@w1 5@old"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	if got := p.Wants(p.Session(1)); got != (Places{0, 2}) {
		t.Errorf("w1 is wanted for %v more", got)
	}
	if got := p.Wants(p.Session(2)); got != (Places{2}) {
		t.Errorf("the old one is wanted for %v more", got)
	}
	if got, want := p.Why("default", "http"), `no_slot: all 5 places of the 2 workers of group "default" are taken; it goes on when one is free`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	p.Release(4)
	if got, want := order(p), "6@w1"; got != want {
		t.Errorf("placed %s after a release, want %s", got, want)
	}
	for task, want := range map[flow.ID]Kind{1: Process, 2: Function} {
		if got := p.held[task].kind; got != want {
			t.Errorf("task %d takes a place of kind %d", task, got)
		}
	}
}

func TestStrategyOfTheGroup(t *testing.T) {
	t.Parallel()
	light := session(2, 9, "default", "spark")
	light.Weight = 100
	heavy := session(1, 9, "default", "spark")
	heavy.Weight, heavy.CPU = 300, 0.9
	p := pool(heavy, light)
	p.Balance = flow.Balance{Strategy: flow.RoundRobin, Groups: map[string]flow.Strategy{"spark": flow.Weighted}}
	for i := range flow.ID(4) {
		p.Enqueue(item(i+1, "default", flow.PriorityHigh))
		p.Enqueue(item(i+11, "spark", flow.PriorityLow))
	}
	if got, want := order(p), "1@w1 2@w2 3@w1 4@w2 11@w1 12@w1 13@w2 14@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	p.Balance = flow.Balance{} // the busy one is passed over, from the next task on
	p.Enqueue(item(20, "spark", flow.PriorityLow))
	if got, want := order(p), "20@w2"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	drawn := 0
	p.Balance, p.Draw = flow.Balance{Strategy: flow.Random}, func(n int) int { drawn++; return n - 1 }
	p.Enqueue(item(21, "nobody", flow.PriorityLow))
	p.Enqueue(item(22, "default", flow.PriorityLow))
	if got, want := order(p), "22@w2"; got != want || drawn != 1 {
		t.Errorf("placed %s with %d draws, want %s with one", got, drawn, want)
	}
}

// What was sent since the last beat counts on top of what others had there by then.
func TestWhatWasJustSentCounts(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 20), session(2, 20))
	p.Hold(100, 1, 1, "")
	p.Session(1).Beat(Report{Running: Places{4}}) // one of them is mine
	p.Session(2).Beat(Report{Running: Places{2}})
	for i := range flow.ID(5) {
		p.Enqueue(item(i+1, "default", flow.PriorityMedium))
	}
	if got, want := order(p), "1@w2 2@w2 3@w1 4@w2 5@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
}

// An overloaded worker gets nothing, and what waits says so, until it is over.
func TestOverloaded(t *testing.T) {
	t.Parallel()
	p := pool(session(1, 4), session(2, 1))
	p.Session(1).Beat(Report{Memory: 0.97, Overloaded: "memory 97 %"})
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	p.Enqueue(item(2, "default", flow.PriorityMedium))
	if got, want := order(p), "1@w2"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
	if got := p.Untold(10); len(got) != 1 {
		t.Errorf("told %v, want task 2", got)
	}
	if got, want := p.Why("default", ""), `no_slot: no place on the 2 workers of group "default": worker w1 takes nothing now: memory 97 %; it goes on when that is over`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	p.Session(1).Beat(Report{Memory: 0.5})
	if got, want := order(p), "2@w1"; got != want {
		t.Errorf("placed %s, want %s", got, want)
	}
}

// Asking why something waits does not queue it once more.
func TestAskedAbout(t *testing.T) {
	t.Parallel()
	p := pool()
	p.Enqueue(item(1, "default", flow.PriorityMedium))
	p.Untold(10)
	p.Ask(item(1, "default", flow.PriorityMedium))
	if got := p.Untold(10); len(got) != 1 || p.Len() != 1 {
		t.Errorf("told %v, and %d wait", got, p.Len())
	}
}

// Groups come and go for years; what nothing waits for is forgotten, and nothing that waits.
func TestQueuesAreForgotten(t *testing.T) {
	t.Parallel()
	p := NewPool()
	p.Join(Session{ID: 1, Name: "w", Groups: []string{"default"}, Slots: Places{Process: 1}, Room: Places{Process: 1}})
	p.Enqueue(Item{Task: 1, Group: "kept", Type: "t"})
	for i := range flow.ID(20 * keepQueues) {
		group := "g" + i.String()
		p.Session(1).Groups = []string{group}
		p.Enqueue(Item{Task: 100 + i, Group: group, Type: "t"})
		got, ok := p.Next()
		if !ok || got.Item.Task != 100+i {
			t.Fatalf("placed %v", got)
		}
		p.Release(got.Item.Task)
	}
	if len(p.queues) > keepQueues || len(p.choosers) > keepQueues {
		t.Errorf("%d queues and %d choosers", len(p.queues), len(p.choosers))
	}
	p.Session(1).Groups = []string{"kept"}
	if got, ok := p.Next(); !ok || got.Item.Task != 1 {
		t.Errorf("what waited all the time is forgotten: %v", got)
	}
}
