// Backfills: the store's model of them, people who steer them, and the check that every date ran once and that all end.

package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/master"
)

// dated is a backfill as the store has it.
type dated struct {
	flow.Backfill
	items []flow.BackfillItem
	parts []flow.ID // the workflow of each part
}

// stand counts how the dates stand, by their runs.
func (s *Store) stand(b *dated) (st flow.BackfillStand, going []flow.Seat) {
	var next, levels []int
	for _, item := range b.items {
		in := s.instances[item.Instance]
		switch {
		case item.Instance == 0:
			next = append(next, item.Level)
		case in == nil:
			going = append(going, flow.Seat{ID: item.Instance, Times: 1})
			levels = append(levels, item.Level)
		case !in.Instance.State.Ended():
			going = append(going, flow.Seat{ID: item.Instance, Times: in.Instance.RunTimes})
			levels = append(levels, item.Level)
		case in.Instance.State != flow.InstanceSucceeded:
			st.Failed++
		}
	}
	st.Going, st.Left, st.Held = len(going), len(next), flow.HeldDates(next, levels)
	return st, going
}

// advance does what the decision about a backfill says, with the ids that there are.
func (s *Store) advance(b *dated, next func() flow.ID) (started int, more bool) {
	st, _ := s.stand(b)
	step := b.Next(st)
	for i := range b.items {
		item := &b.items[i]
		if item.Instance != 0 || started == step.Start {
			continue
		}
		id := next()
		if id == 0 {
			more = true
			break
		}
		item.Instance = id
		started++
		start := b.Start
		start.DataTime, start.Trigger, start.Backfill = item.DataTime, flow.TriggerBackfill, b.ID
		s.submit(flow.Command{ID: id, Project: 1, Workflow: b.parts[item.Part], Version: 1, Priority: flow.PriorityMedium, Start: spec(start), At: s.w.now})
		s.w.fired = append(s.w.fired, &accepted{id: id})
		s.w.log("backfill %d begins %d for %s", b.ID, id, item.DataTime)
	}
	if step.State != b.State {
		s.w.log("backfill %d is %s: %s", b.ID, step.State, step.Reason)
	}
	b.State, b.Reason = step.State, step.Reason
	return started, more
}

// advanceBackfills is what masters ask for.
func (s *Store) advanceBackfills(owner int64, e master.AdvanceBackfills) (out flow.Advanced, err error) {
	if s.fenced[owner] {
		return out, flow.ErrFenced
	}
	ids := e.IDs
	next := func() (id flow.ID) {
		if len(ids) > 0 {
			id, ids = ids[0], ids[1:]
		}
		return id
	}
	wanted := e.Backfills
	if len(wanted) == 0 {
		for _, id := range sorted(s.backfills) {
			if id <= e.After || s.backfills[id].State.Ended() {
				continue
			}
			if wanted = append(wanted, id); len(wanted) == 2 { // a short page, so that there are several
				out.Next = id
				break
			}
		}
	}
	for _, id := range wanted {
		started, more := s.advance(s.backfills[id], next)
		out.Started += started
		if more {
			out.Again = append(out.Again, id)
		}
	}
	return out, nil
}

// orderBackfill is a person's order. A refusal is no fault.
func (s *Store) orderBackfill(b *dated, o flow.BackfillOrder) {
	st, going := s.stand(b)
	if err := b.Obey(o, st); err != nil {
		s.w.log("%s", err)
		return
	}
	s.w.log("backfill %d: %s", b.ID, o.Verb)
	if b.State == flow.BackfillStopping {
		for _, order := range b.Stops(going, "a person") {
			s.order(order.Item(s.ids.Next(s.w.now), s.w.now))
		}
	}
	s.advance(b, func() flow.ID { return s.ids.Next(s.w.now) })
}

// backfill has people plan runs for many dates, and steer them.
func (w *World) backfill() {
	for n := range w.cfg.Backfills {
		w.after(time.Duration(w.rng.Int64N(int64(w.cfg.Starts))), func() {
			b := &dated{Backfill: flow.Backfill{
				ID: w.store.ids.Next(w.now), Project: 1, Workflow: flow.ID(100 + w.rng.IntN(5)), State: flow.BackfillRunning,
				Parallel: 1 + w.rng.IntN(3), Halt: w.rng.IntN(3) == 0,
			}}
			for i := range 2 + w.rng.IntN(7) {
				b.items = append(b.items, flow.BackfillItem{DataTime: start.Add(time.Duration(n*100+i) * time.Hour)})
			}
			b.parts = []flow.ID{b.Workflow}
			for level := range w.rng.IntN(3) { // some cascade: which workflows depend on it matters to nobody here
				b.parts = append(b.parts, flow.ID(100+w.rng.IntN(5)))
				for i := range 1 + w.rng.IntN(3) {
					b.items = append(b.items, flow.BackfillItem{Part: level + 1, Level: level + 1, DataTime: start.Add(time.Duration(n*100+20*(level+1)+i) * time.Hour)})
				}
			}
			b.Dates = len(b.items)
			w.store.backfills[b.ID] = b
			w.store.advance(b, func() flow.ID { return w.store.ids.Next(w.now) })
			if w.rng.IntN(4) > 0 {
				w.after(w.delay(time.Millisecond), w.poke)
			}
			for range w.rng.IntN(3) {
				w.after(time.Duration(w.rng.Int64N(int64(20*time.Second))), func() {
					verb := []string{flow.VerbPause, flow.VerbPause, flow.VerbResume, flow.VerbStop}[w.rng.IntN(4)]
					w.store.orderBackfill(b, flow.BackfillOrder{Verb: verb})
					w.after(w.delay(time.Millisecond), w.poke)
				})
			}
			for range w.rng.IntN(3) { // of its runs, too, as they are then
				w.after(time.Duration(w.rng.Int64N(int64(30*time.Second))), func() {
					if id := b.items[w.rng.IntN(len(b.items))].Instance; id != 0 {
						verbs := []string{flow.VerbPause, flow.VerbStop, flow.VerbRecover, flow.VerbRerun}
						w.order(&accepted{id: id}, flow.Verb{Name: verbs[w.rng.IntN(len(verbs))]})
					}
				})
			}
		})
	}
}

// backfilled tells whether every backfill has ended. One that is paused a person resumes.
func (w *World) backfilled() bool {
	if len(w.store.backfills) < w.cfg.Backfills {
		return false
	}
	all := true
	for _, id := range sorted(w.store.backfills) {
		b := w.store.backfills[id]
		if b.State == flow.BackfillPaused {
			w.store.orderBackfill(b, flow.BackfillOrder{Verb: flow.VerbResume})
		}
		all = all && b.State.Ended()
	}
	return all
}

// ofBackfill reads of an order to start which backfill it is of, and which date.
func ofBackfill(start []byte) (flow.ID, flow.Time) {
	var s flow.Start
	if err := json.Unmarshal(start, &s); err != nil {
		panic(err) // this world wrote it
	}
	return s.Backfill, s.DataTime
}

// checkParallel: a run that begins is one of no more than its backfill has go on at a time, those aside that a person had
// run again.
func (s *Store) checkParallel(now flow.Instance) {
	id, _ := ofBackfill(now.Spec)
	b := s.backfills[id]
	if b == nil || now.State.Ended() || now.RunTimes > 1 {
		return
	}
	on := 1
	for _, in := range s.instances {
		if other, _ := ofBackfill(in.Instance.Spec); other == id && in.Instance.ID != now.ID && in.Instance.RunTimes == 1 && !in.Instance.State.Ended() {
			on++
		}
	}
	if on > b.Parallel {
		s.violation("run %d of backfill %d begins as one of %d, and %d may go on at a time", now.ID, id, on, b.Parallel)
	}
}

// checkLevels: a run that begins is of a level before which all dates have begun and ended, those aside that a person had
// run again.
func (s *Store) checkLevels(now flow.Instance) {
	id, date := ofBackfill(now.Spec)
	b := s.backfills[id]
	if b == nil || now.RunTimes > 1 {
		return
	}
	level := 0
	for _, item := range b.items {
		if item.DataTime == date {
			level = item.Level
		}
	}
	for _, item := range b.items {
		if item.Level >= level {
			continue
		}
		if in := s.instances[item.Instance]; in == nil || in.Instance.RunTimes == 1 && !in.Instance.State.Ended() {
			s.violation("run %d of backfill %d begins at level %d, and that for %s of level %d has not ended", now.ID, id, level, item.DataTime, item.Level)
		}
	}
}

// checkBackfills: each date has one run at most, and one if nothing kept it from that; the state is what the runs say.
func (w *World) checkBackfills(say func(string, ...any)) {
	runs := map[string]flow.ID{}
	for _, id := range sorted(w.store.instances) {
		b, date := ofBackfill(w.store.instances[id].Instance.Spec)
		if b == 0 {
			continue
		}
		key := fmt.Sprintf("%d for %s", b, date)
		if other := runs[key]; other != 0 {
			say("backfill %s has two runs, %d and %d", key, other, id)
		}
		runs[key] = id
	}
	for _, id := range sorted(w.store.backfills) {
		b := w.store.backfills[id]
		st, _ := w.store.stand(b)
		for _, item := range b.items {
			if run := runs[fmt.Sprintf("%d for %s", id, item.DataTime)]; run != item.Instance {
				say("backfill %d has run %d for %s, and %d was made", id, item.Instance, item.DataTime, run)
			}
		}
		switch {
		case !b.State.Ended():
			say("backfill %d is %s: %+v", id, b.State, st)
		case st.Left > 0 && b.State != flow.BackfillStopped && !b.Halt:
			say("backfill %d is %s, and %d dates never began", id, b.State, st.Left)
		case b.State == flow.BackfillSucceeded && st.Left+st.Failed > 0:
			say("backfill %d has succeeded with %+v", id, st)
		}
	}
}
