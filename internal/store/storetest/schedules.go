// Schedules, calendars, and the one fate of each time of a schedule.

package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"baton/internal/flow"
)

func scheduled(schedules ...flow.Schedule) flow.Document {
	return flow.Document{Workflow: &flow.Workflow{
		Project: "p", Name: "timed", Priority: flow.PriorityHigh, Tasks: []flow.Task{{Name: "t", Type: "noop"}}, Schedules: schedules,
	}}
}

func every(name string, span time.Duration) flow.Schedule {
	return flow.Schedule{Name: name, Every: flow.Duration(span), Timezone: "UTC"}
}

func (w *world) apply1(d ...flow.Document) []flow.Applied {
	w.Helper()
	return must(w.db.Apply(w.ctx, d, now))(w)
}

func (w *world) schedules() []flow.ScheduleRow {
	w.Helper()
	return must(w.db.Schedules(w.ctx, "p", "timed", 10, 0))(w).Items
}

func (w *world) due() []flow.Timing {
	w.Helper()
	return must(w.m.Due(w.ctx, 100, 0, 1))(w).Timings
}

func testSchedules(w *world) {
	first := every("a", time.Hour)
	w.same("created", w.apply1(scheduled(first))[0].Change)
	got := w.schedules()
	if len(got) != 1 || got[0].Revision != 1 || !got[0].Enabled || got[0].Schedule.Every != first.Every || got[0].Project != "p" || got[0].Workflow != "timed" {
		w.Fatalf("%+v", got)
	}
	same := w.apply1(scheduled(first))[0]
	w.same("unchanged", same.Change)
	first.Every = flow.Duration(2 * time.Hour)
	changed := w.apply1(scheduled(first, every("b", time.Minute)))[0]
	w.same(flow.Applied{Kind: "Workflow", Project: "p", Name: "timed", Version: same.Version, Change: "updated"}, changed, "a schedule makes no version")
	got = w.schedules()
	w.same(2, len(got))
	w.same([]int64{2, 1}, []int64{got[0].Revision, got[1].Revision})
	w.same(1, must(w.db.EnableSchedules(w.ctx, "p", "timed", "b", false))(w))
	w.same("unchanged", w.apply1(scheduled(first, every("b", time.Minute)))[0].Change, "what a verb said stays")
	w.same(false, w.schedules()[1].Enabled)
	said := func() flow.Overrides { return must(w.db.Overrides(w.ctx, "p", "timed"))(w) }
	w.same(flow.Overrides{Schedules: map[string]bool{"b": false}, Triggers: map[string]bool{}}, said())
	again := scheduled(first, every("b", time.Minute))
	again.Reset = true
	w.same("updated", w.apply1(again)[0].Change)
	if b := w.schedules()[1]; !b.Enabled || b.Overridden {
		w.Errorf("it is not as its file says: %+v", b)
	}
	w.same(0, len(said().Schedules))
	w.same("unchanged", w.apply1(again)[0].Change)
	w.same(0, must(w.db.EnableSchedules(w.ctx, "p", "timed", "c", true))(w), "there is none")
	w.same(2, must(w.db.EnableSchedules(w.ctx, "p", "timed", "", true))(w))
	w.same(true, w.schedules()[1].Enabled)
	w.same("updated", w.apply1(scheduled())[0].Change)
	w.same(0, len(w.schedules()), "what is not in the file is gone")
	w.same(0, len(said().Schedules), "with what was said of it")
	w.onlyClosing()
	w.apply1(scheduled(first))
	w.same(int64(4), w.schedules()[0].Revision, "it is the same one again")
}

// What is new is looked at once, to find out when it fires.
func testDue(w *world) {
	w.apply1(scheduled(every("a", time.Hour), every("b", time.Hour)))
	due := must(w.m.Due(w.ctx, 100, 0, 1))(w)
	if len(due.Timings) != 2 || due.Now == 0 || due.Timings[0].After == 0 || due.Timings[0].After > due.Now || due.Timings[0].Priority != flow.PriorityHigh {
		w.Fatalf("%+v", due)
	}
	if at := must(w.m.Waiting(w.ctx, w.me))(w); at.NextFire == 0 || at.NextFire > at.Now {
		w.Errorf("%+v", at)
	}
	w.same(1, len(must(w.m.Due(w.ctx, 100, 0, 2))(w).Timings), "one is the other's")
	w.same(1, len(must(w.m.Due(w.ctx, 1, 0, 1))(w).Timings))
	next := due.Now.Add(time.Hour)
	for _, t := range due.Timings {
		w.same([]bool{true}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{{Schedule: t.Schedule, Revision: t.Revision, After: t.After, NewAfter: t.After, Nominal: next, Next: next}}))(w))
	}
	due = must(w.m.Due(w.ctx, 100, 0, 1))(w)
	w.same(0, len(due.Timings))
	w.same(next, due.Next)
	w.same(next, w.schedules()[0].Nominal)
}

// fire is a decision that fires one time.
func (w *world) fire(t flow.Timing, nominal flow.Time) flow.Firing {
	f := flow.Fire{ID: w.id(), Schedule: t.Schedule, Project: t.Project, Workflow: t.Workflow, Nominal: nominal, Last: nominal, Times: 1, State: flow.FireFired, Instance: w.id(), At: now}
	raw, err := json.Marshal(flow.Start{DataTime: nominal, Trigger: flow.TriggerSchedule, Schedule: t.Body.Name})
	w.ok(err)
	return flow.Firing{
		Schedule: t.Schedule, Revision: t.Revision, After: t.After, Until: t.Until, NewAfter: nominal, Nominal: nominal + 1, Next: nominal + 1, Fires: []flow.Fire{f},
		Commands: []flow.Command{{ID: f.Instance, Project: t.Project, Workflow: t.Workflow, Priority: t.Priority, Start: raw, Zone: "Asia/Shanghai", At: now}},
	}
}

// Whoever decides first about a time decides, and its run is ordered with that.
func testFire(w *world) {
	w.apply1(scheduled(every("a", time.Hour), every("b", time.Hour)))
	timings := w.due()
	one, other := w.fire(timings[0], now+1), w.fire(timings[0], now+1)
	second := w.fire(timings[1], now+1)
	w.same([]bool{true, true}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{one, second}))(w))
	w.same([]bool{false, false}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{other, second}))(w), "it is decided")
	commands := must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)
	w.same(2, len(commands))
	c := commands[0]
	if c.ID != one.Commands[0].ID || c.Version != 1 || c.Zone != "Asia/Shanghai" || c.Priority != flow.PriorityHigh || !strings.Contains(string(c.Start), `"schedule":"a"`) {
		w.Errorf("%+v", c)
	}
	run := must(w.db.Instance(w.ctx, c.ID))(w)
	w.same(flow.TriggerSchedule, run.Trigger)
	w.same(now+1, run.DataTime)
	fires := must(w.db.Fires(w.ctx, flow.FireFilter{Project: "p", Workflow: "timed"}))(w).Items
	w.same(2, len(fires))
	f := fires[1] // the older one
	if f.Instance != c.ID || f.State != flow.FireFired || f.Nominal != now+1 || f.ScheduleName != "a" || f.WorkflowName != "timed" || f.ProjectName != "p" || f.Times != 1 {
		w.Errorf("%+v", f)
	}
	w.same(1, len(must(w.db.Fires(w.ctx, flow.FireFilter{Instance: c.ID}))(w).Items))
	w.same(1, len(must(w.db.Fires(w.ctx, flow.FireFilter{Project: "p", Workflow: "timed", Schedule: "b", States: []flow.FireState{flow.FireFired}}))(w).Items))
	w.same(0, len(must(w.db.Fires(w.ctx, flow.FireFilter{States: []flow.FireState{flow.FireMissed}}))(w).Items))
	w.same(now+1, w.schedules()[0].Last)
}

// Masters that find the same time due at once order one run, and one that is fenced none.
func testFireRace(w *world) {
	rivals := make([]int64, 4)
	for i := range rivals {
		rivals[i] = w.master(fmt.Sprintf("rival-%d", i), "").Incarnation
	}
	w.ok(func() error { _, err := w.m.Fence(w.ctx, rivals[0]); return err }())
	w.apply1(scheduled(every("a", time.Hour)))
	timing := w.due()[0]
	won := make([]bool, len(rivals))
	var g errgroup.Group
	for i, rival := range rivals {
		firing := w.fire(timing, now+1)
		g.Go(func() error {
			written, err := w.m.Fire(w.ctx, rival, []flow.Firing{firing})
			if err == nil {
				won[i] = written[0]
			}
			return err
		})
	}
	w.ok(g.Wait())
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	w.same(1, n)
	w.same(false, won[0], "it is fenced")
	w.same(1, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)))
}

// A change of a schedule loses no time that had come, and what comes after it is the new one's.
func testFireAcrossAnEdit(w *world) {
	w.apply1(scheduled(every("a", time.Hour)))
	old := w.due()[0]
	prime := flow.Firing{Schedule: old.Schedule, Revision: old.Revision, After: old.After, NewAfter: old.After, Nominal: old.After + 1, Next: old.After + 1}
	w.same([]bool{true}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{prime}))(w))
	old = w.due()[0] // its time has come
	w.apply1(scheduled(every("a", time.Minute)))
	timings := w.due()
	w.same(2, len(timings))
	closing, fresh := timings[0], timings[1]
	if closing.Revision != 1 || closing.Until == 0 || fresh.Revision != 2 || fresh.Until != 0 || fresh.After != closing.Until || fresh.Body.Every != flow.Duration(time.Minute) || closing.Body.Every != flow.Duration(time.Hour) {
		w.Fatalf("%+v", timings)
	}
	w.same([]bool{false}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{w.fire(old, old.After+1)}))(w), "decided before the change was seen")
	w.same([]bool{true}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{w.fire(closing, old.After+1)}))(w))
	w.apply1(scheduled(every("a", time.Second)))
	w.same(1, len(must(w.m.Commands(w.ctx, 10, nil, flow.Turn{}))(w)))
	w.same(int64(3), w.schedules()[0].Revision)
	w.same(1, must(w.db.EnableSchedules(w.ctx, "p", "timed", "", false))(w))
	w.onlyClosing()
}

// onlyClosing: what is due comes from before a change.
func (w *world) onlyClosing() {
	w.Helper()
	for _, t := range w.due() {
		if t.Until == 0 {
			w.Errorf("a schedule that is off has something to come: %+v", t)
		}
	}
}

// A change that comes before anybody has looked at a schedule loses none of its times either.
func testEditBeforeTheFirstLook(w *world) {
	w.apply1(scheduled(every("a", time.Second)))
	w.apply1(scheduled(every("a", time.Minute)))
	timings := w.due()
	if len(timings) != 2 || timings[0].Until == 0 || timings[0].Body.Every != flow.Duration(time.Second) || timings[1].After != timings[0].Until {
		w.Errorf("%+v", timings)
	}
}

func testCalendars(w *world) {
	calendar := flow.Document{Calendar: &flow.Calendar{Project: "p", Name: "cn", Holidays: []string{"2026-10-01"}}}
	s := every("a", time.Hour)
	s.Calendar = "cn"
	_, err := w.db.Apply(w.ctx, []flow.Document{scheduled(s)}, now)
	if flow.CodeOf(err) != flow.CodeBadRequest || !strings.Contains(err.Error(), `no calendar "cn"`) {
		w.Errorf("%v", err)
	}
	applied := w.apply1(scheduled(s), calendar) // in any order
	w.same("Calendar", applied[1].Kind)
	w.same(int32(1), applied[1].Version)
	w.same(calendar.Calendar, w.due()[0].Calendar)
	w.same("unchanged", w.apply1(calendar)[0].Change)
	calendar.Calendar.Holidays = append(calendar.Calendar.Holidays, "2026-10-02")
	w.same(int32(2), w.apply1(calendar)[0].Version)
	got := w.schedules()
	w.same(int64(2), got[0].Revision, "it goes on by the new one")
	w.same(calendar.Calendar, got[0].Calendar)
	w.same([]flow.Calendar{*calendar.Calendar}, must(w.db.Calendars(w.ctx, "p"))(w))
}

// What had come of a schedule that is disabled, or taken out of its file, is recorded and not fired.
func testDisabledWhileDue(w *world) {
	w.apply1(scheduled(every("a", time.Second), every("b", time.Second)))
	w.same(1, must(w.db.EnableSchedules(w.ctx, "p", "timed", "a", false))(w))
	w.apply1(scheduled(every("a", time.Second)))
	timings := w.due()
	w.same(2, len(timings))
	for _, t := range timings {
		if !t.Halted || t.Until == 0 {
			w.Errorf("%+v", t)
		}
	}
	w.apply1(scheduled(every("a", time.Second), every("b", time.Minute)))
	for _, t := range w.due() {
		if t.Halted == (t.Until == 0) {
			w.Errorf("%+v", t)
		}
	}
}

// What another transaction holds is left out, and the rest is written.
func testFireBesideAnApply(w *world) {
	w.apply1(scheduled(every("a", time.Hour), every("b", time.Hour)))
	timings := w.due()
	alert := &flow.Alert{ID: w.id(), Kind: flow.AlertFireMissed, Project: timings[0].Project, Message: "missed", At: now}
	f := w.fire(timings[0], now+1)
	f.Workflow, f.Alert = timings[0].Workflow, alert
	w.same([]bool{true}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{f}))(w))
	got := must(w.db.Alerts(w.ctx, flow.AlertFilter{Project: "p", Workflow: "timed"}))(w).Items
	if len(got) != 1 || got[0].Kind != flow.AlertFireMissed || got[0].Message != "missed" {
		w.Errorf("%+v", got)
	}
	w.same([]bool{false}, must(w.m.Fire(w.ctx, w.me, []flow.Firing{f}))(w))
	w.same(1, len(must(w.db.Alerts(w.ctx, flow.AlertFilter{Project: "p"}))(w).Items), "an alert goes with its decision")
}

// As many rows as a master puts into one statement are written in the time that a statement has.
func testFireManyRows(w *world) {
	var schedules []flow.Schedule
	for i := range 500 {
		schedules = append(schedules, every(fmt.Sprint("s", i), time.Hour))
	}
	w.apply1(scheduled(schedules...))
	timings := must(w.m.Due(w.ctx, 500, 0, 1))(w).Timings
	w.same(500, len(timings))
	var firings []flow.Firing
	for i, t := range timings {
		f := w.fire(t, now+1)
		if i < 2 {
			for k := range 499 {
				more := w.fire(t, now+flow.Time(k)+2)
				f.Fires, f.Commands, f.NewAfter = append(f.Fires, more.Fires...), append(f.Commands, more.Commands...), more.NewAfter
			}
		}
		firings = append(firings, f)
	}
	written := must(w.m.Fire(w.ctx, w.me, firings))(w)
	for i, ok := range written {
		if !ok {
			w.Fatalf("%d was not written", i)
		}
	}
	w.same(500, len(must(w.m.Commands(w.ctx, 500, nil, flow.Turn{}))(w)))
}
