// The effects of a master's core, carried out on the model.

package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"baton/internal/flow"
	"baton/internal/master"
	"baton/internal/rpc"
)

var (
	errUnknown = errors.New("connection lost: the outcome is unknown")
	errFull    = errors.New("the disk of the store is full")
)

func (m *masterHost) carryOut(life int, fx master.Effect) {
	s := m.w.store
	if m.noStore() {
		if ev := unanswered(fx); ev != nil {
			m.ask(life, fx, ev)
			return
		}
	}
	const read = 300 * time.Microsecond
	me := m.lease.Incarnation
	switch e := fx.(type) {
	case master.WakeAt:
		m.wakeAt(life, e.At)
	case master.Poll:
		m.later(life, read, func() master.Event { return master.Polled{Waiting: s.waiting(me)} })
	case master.ReadCommands:
		m.w.after(m.w.delay(read), func() {
			if m.life != life {
				return
			}
			cmds := s.readCommands(me, e)
			for _, c := range cmds {
				if c.Takes < flow.MaxTakes && s.deadly[c.ID] == deadlyCommand {
					m.crash(fmt.Sprintf("of run %d", c.ID))
					return
				}
			}
			m.step(master.CommandsRead{Commands: cmds})
		})
	case master.ReadInbox:
		m.later(life, read, func() master.Event { return master.InboxRead{Items: s.readInbox(me, e)} })
	case master.Claim:
		m.write(life, func() master.Event {
			ids, next := s.claim(me, m.w.now, e.Limit)
			if m.w.chance(m.w.cfg.Unknown) {
				m.w.log("the answer of a claim is lost, with %d instances", len(ids))
				return master.Claimed{Err: errUnknown}
			}
			return master.Claimed{IDs: ids, Next: next}
		})
	case master.ReadOwned:
		m.later(life, read, func() master.Event { return master.OwnedRead{IDs: s.owned(me, e.After, e.Limit)} })
	case master.TakeOver:
		m.write(life, func() master.Event {
			ids, left, err := s.takeOver(me, e)
			if m.w.chance(m.w.cfg.Unknown) {
				m.w.log("the answer of a takeover is lost, with %d instances", len(ids))
				return master.TookOver{Dead: e.Dead, Takes: e.Takes, Err: errUnknown}
			}
			return master.TookOver{Dead: e.Dead, Takes: e.Takes, IDs: ids, Left: left, Err: err}
		})
	case master.Load:
		m.w.after(m.w.delay(read), func() {
			if m.life != life {
				return
			}
			rows := s.load(me, e.IDs)
			for _, l := range rows {
				if s.deadly[l.Instance.ID] == deadlyRun {
					m.crash(fmt.Sprintf("of run %d", l.Instance.ID))
					return
				}
			}
			m.step(master.LoadedRows{Asked: e.IDs, Loaded: rows})
		})
	case master.ReadDefinition:
		m.later(life, read, func() master.Event { return master.DefinitionRead{Key: e.Key, Definition: s.defs[e.Key.Workflow]} })
	case master.Register:
		m.write(life, func() master.Event {
			if latest := s.latestHello(e.Node.Home); e.Node.Hello != 0 && e.Node.Hello < latest {
				return master.Outrun{Conn: e.Conn, Hello: latest}
			}
			if e.Node.Incarnation != 0 && (s.fenced[e.Node.Incarnation] || s.later(e.Node)) {
				return master.Registered{Conn: e.Conn, Err: flow.ErrFenced}
			}
			if e.Node.Incarnation != 0 {
				return master.Registered{Conn: e.Conn, Lease: s.readmit(e.Node), Again: true}
			}
			return master.Registered{Conn: e.Conn, Lease: s.register(e.Node.Home, e.Node.Hello)}
		})
	case master.HandOver:
		m.write(life, func() master.Event {
			s.order(e.Item)
			return master.HandedOver{Conn: e.Conn, Token: e.Token}
		})
	case master.Commit:
		m.commit(life, e)
	case master.Quarantine:
		if m.poisons[e.ID] {
			s.violation("instance %d is quarantined while that is under way", e.ID)
		}
		m.poisons[e.ID] = true
		m.later(life, 500*time.Microsecond, func() master.Event {
			delete(m.poisons, e.ID)
			return master.Quarantined{ID: e.ID, Err: m.quarantine(e)}
		})
	case master.HangUp:
		if l := m.conns[e.Conn]; l != nil {
			l.cut()
		}
	case master.Send:
		m.send(e.Conn, e.Frame)
	case master.Grant:
		m.send(e.Conn, &rpc.FromMaster{Master: me, Grants: []*rpc.Grant{grantOf(e)}})
	case master.Stop:
		m.crash("because it was fenced")
	case master.Beat:
		at := m.w.now
		m.write(life, func() master.Event {
			if err := s.heartbeat(flow.Node{Incarnation: me, Lease: e.Lease}); err != nil {
				return master.Committed{Err: err}
			}
			done := master.Beaten{At: at, Memory: m.w.memory(), Settings: flow.Settings{Lease: s.length, Balance: m.w.balance}}
			for _, n := range e.Sessions {
				if s.heartbeat(n) != nil {
					done.Lost = append(done.Lost, n.Incarnation)
				}
				done.Sessions = append(done.Sessions, n.Incarnation)
			}
			return done
		})
	case master.ReadPeers:
		m.later(life, read, func() master.Event { return master.PeersRead{Peers: s.peers(me)} })
	case master.ReadGroups:
		m.later(life, read, func() master.Event { return master.GroupsRead{Groups: s.servedGroups()} })
	case master.Admit:
		m.write(life, func() master.Event {
			given := s.admit(e.Keys)
			if m.w.chance(m.w.cfg.Unknown) {
				return master.Admitted{Keys: e.Keys, Err: errUnknown}
			}
			return master.Admitted{Admitted: given, Keys: e.Keys}
		})
	case master.GiveSlots:
		m.write(life, func() master.Event {
			given := s.giveSlots(e.Keys)
			if m.w.chance(m.w.cfg.Unknown) {
				return master.SlotsGiven{Err: errUnknown}
			}
			return master.SlotsGiven{SlotsGiven: given}
		})
	case master.LookUp:
		m.later(life, read, func() master.Event {
			return master.LookedUp{Ask: e, Found: s.lookup(e.Question)}
		})
	case master.TellAll:
		for _, o := range m.w.masters {
			if o.up && o != m && m.w.rng.IntN(4) > 0 { // or its own look finds it
				o.later(o.life, time.Millisecond, func() master.Event { return master.Poked{Inbox: true} })
			}
		}
	case master.AdvanceBackfills:
		if m.w.chance(m.w.cfg.Crash) {
			m.crash("before a backfill goes on")
			return
		}
		m.write(life, func() master.Event {
			done, err := s.advanceBackfills(me, e)
			if err == nil && m.w.chance(m.w.cfg.Unknown) {
				m.w.log("the answer about backfills is lost")
				return master.BackfillsAdvanced{Err: errUnknown}
			}
			return master.BackfillsAdvanced{Advanced: done, Err: err}
		})
	case master.ReadMarks:
		m.later(life, read, func() master.Event {
			standings, next := s.marks(e)
			return master.MarksRead{Standings: standings, Next: next}
		})
	case master.StartTriggered:
		if m.w.chance(m.w.cfg.Crash) {
			m.crash("before a trigger starts a run")
			return
		}
		m.write(life, func() master.Event {
			written, err := s.startTriggered(me, e.Decisions)
			if err == nil && m.w.chance(m.w.cfg.Unknown) {
				m.w.log("the answer of a trigger is lost")
				return master.Triggered{Decisions: e.Decisions, Err: errUnknown}
			}
			return master.Triggered{Decisions: e.Decisions, Written: written, Err: err}
		})
	case master.ReadDue:
		m.later(life, read, func() master.Event { return master.DueRead{Due: s.due(e)} })
	case master.Fire:
		if m.w.chance(m.w.cfg.Crash) {
			m.crash("before a fire")
			return
		}
		m.write(life, func() master.Event {
			written := s.fire(me, e.Firings)
			if m.w.chance(m.w.cfg.Unknown) {
				m.w.log("the answer of a fire is lost")
				return master.Fired{Firings: e.Firings, Err: errUnknown}
			}
			return master.Fired{Firings: e.Firings, Written: written}
		})
	case master.Probe:
		m.later(life, read, func() master.Event {
			return master.Probed{Incarnation: e.Incarnation, Outcome: m.w.probe(m, e.Incarnation, e.Address)}
		})
	case master.Condemn:
		m.write(life, func() master.Event {
			m.w.log("master %d declares %d dead: %s", me, e.Dead, e.Why)
			s.fenced[e.Dead] = true
			return master.Condemned{Dead: e.Dead}
		})
	case master.HandOut:
		m.write(life, func() master.Event {
			mine, others, err := s.handOut(me, e.Dead, e.Heirs, e.Limit)
			m.w.log("master %d hands out %d and %d runs of %d", me, len(mine), others, e.Dead)
			if m.w.chance(m.w.cfg.Unknown) {
				return master.HandedOut{Dead: e.Dead, Heirs: e.Heirs, Err: errUnknown}
			}
			return master.HandedOut{Dead: e.Dead, Heirs: e.Heirs, Mine: mine, Others: others, Err: err}
		})
	case master.Tell:
		for _, o := range m.w.masters {
			if o.up && o.lease.Incarnation == e.Incarnation && m.w.rng.IntN(4) > 0 { // or its own look finds it
				o.later(o.life, time.Millisecond, func() master.Event { return master.Poked{Handed: true} })
			}
		}
	case master.Announce:
		m.state = e.State
	case master.GiveAway:
		m.write(life, func() master.Event {
			given, err := s.giveAway(me, e.IDs, e.Heirs)
			m.w.log("master %d gives away %d of %d runs", me, given, len(e.IDs))
			if m.w.chance(m.w.cfg.Unknown) {
				return master.GivenAway{Heirs: e.Heirs, Err: errUnknown}
			}
			return master.GivenAway{Heirs: e.Heirs, Err: err}
		})
	case master.EndSession:
		m.write(life, func() master.Event {
			over, left := s.endSession(e.Session)
			m.w.log("master %d asks whether session %d is over: %v", me, e.Session, over)
			return master.SessionEnded{Session: e.Session, Over: over, Left: left}
		})
	case master.LeaveSession:
		m.write(life, func() master.Event {
			m.w.log("session %d leaves through master %d", e.Session, me)
			s.fenced[e.Session] = true
			if m.w.chance(m.w.cfg.Unknown) {
				return master.SessionLeft{Conn: e.Conn, Session: e.Session, Err: errUnknown}
			}
			return master.SessionLeft{Conn: e.Conn, Session: e.Session}
		})
	case master.Publish:
	}
}

// stuck is a question that comes to the store late.
type stuck struct {
	fx     master.Effect
	ev     master.Event // what is told if it does not come at all
	asked  flow.Time
	missed bool // whoever asked has given up
}

// ask asks a store that is away.
func (m *masterHost) ask(life int, fx master.Effect, ev master.Event) {
	if !m.swallowed {
		m.later(life, 50*time.Millisecond, func() master.Event { return ev })
		return
	}
	k := &stuck{fx: fx, ev: ev, asked: m.w.now}
	m.stuck = append(m.stuck, k)
	if e, ok := fx.(master.Beat); ok {
		m.w.after(e.Lease/2, func() {
			if slices.Contains(m.stuck, k) {
				k.missed = true
				m.step(ev)
			}
		})
	}
}

// release brings to the store what was stuck, or not.
func (m *masterHost) release() {
	if m.noStore() {
		return // for another reason
	}
	all, life := m.stuck, m.life
	m.stuck = nil
	for _, k := range all {
		if m.life != life {
			return
		}
		switch e := k.fx.(type) {
		case master.Beat:
			if k.missed {
				for _, n := range append(e.Sessions, flow.Node{Incarnation: m.lease.Incarnation, Lease: e.Lease}) {
					_ = m.w.store.heartbeat(n) // and nobody hears of it
				}
				continue
			}
		case master.EndSession:
			if m.w.now.Sub(k.asked) > e.Within {
				m.step(k.ev)
				continue
			}
		}
		if m.w.chance(0.5) {
			m.step(k.ev)
			continue
		}
		m.carryOut(life, k.fx)
	}
}

// unanswered is what is told of a question that gets no answer, nil for what asks no store.
func unanswered(fx master.Effect) master.Event {
	var ev master.Event
	switch e := fx.(type) {
	case master.Poll:
		ev = master.Polled{Err: errUnknown}
	case master.ReadCommands:
		ev = master.CommandsRead{Err: errUnknown}
	case master.ReadInbox:
		ev = master.InboxRead{Err: errUnknown}
	case master.Claim:
		ev = master.Claimed{Err: errUnknown}
	case master.ReadOwned:
		ev = master.OwnedRead{Err: errUnknown}
	case master.TakeOver:
		ev = master.TookOver{Dead: e.Dead, Takes: e.Takes, Err: errUnknown}
	case master.Load:
		ev = master.LoadedRows{Asked: e.IDs, Err: errUnknown}
	case master.ReadDefinition:
		ev = master.DefinitionRead{Key: e.Key, Err: errUnknown}
	case master.Register:
		ev = master.Registered{Conn: e.Conn, Err: errUnknown}
	case master.HandOver:
		ev = master.HandedOver{Conn: e.Conn, Token: e.Token, Err: errUnknown}
	case master.Commit:
		ev = master.Committed{Lane: e.Lane, Err: errUnknown}
	case master.Beat:
		ev = master.Beaten{Err: errUnknown}
	case master.ReadPeers:
		ev = master.PeersRead{Err: errUnknown}
	case master.ReadGroups:
		ev = master.GroupsRead{Err: errUnknown}
	case master.Admit:
		ev = master.Admitted{Keys: e.Keys, Err: errUnknown}
	case master.GiveSlots:
		ev = master.SlotsGiven{Err: errUnknown}
	case master.LookUp:
		ev = master.LookedUp{Ask: e, Err: errUnknown}
	case master.AdvanceBackfills:
		ev = master.BackfillsAdvanced{Err: errUnknown}
	case master.ReadMarks:
		ev = master.MarksRead{Err: errUnknown}
	case master.StartTriggered:
		ev = master.Triggered{Decisions: e.Decisions, Err: errUnknown}
	case master.ReadDue:
		ev = master.DueRead{Err: errUnknown}
	case master.Fire:
		ev = master.Fired{Firings: e.Firings, Err: errUnknown}
	case master.Condemn:
		ev = master.Condemned{Dead: e.Dead, Err: errUnknown}
	case master.HandOut:
		ev = master.HandedOut{Dead: e.Dead, Heirs: e.Heirs, Err: errUnknown}
	case master.GiveAway:
		ev = master.GivenAway{Heirs: e.Heirs, Err: errUnknown}
	case master.EndSession:
		ev = master.SessionEnded{Session: e.Session, Err: errUnknown}
	case master.LeaveSession:
		ev = master.SessionLeft{Conn: e.Conn, Session: e.Session, Err: errUnknown}
	case master.Quarantine:
		ev = master.Quarantined{ID: e.ID, Err: errUnknown}
	}
	return ev
}

func grantOf(e master.Grant) *rpc.Grant {
	o := e.Order
	return &rpc.Grant{
		Token: o.Token, Instance: int64(o.Instance), Task: int64(o.Task), Attempt: o.Number, TaskName: o.Name, Type: o.Type,
		Options: o.Options, Hold: o.Hold, Epoch: e.Epoch, Project: o.Project, Workflow: o.Workflow,
	}
}

// quarantine writes, unless the store refuses it now, or it is not known what came of it.
func (m *masterHost) quarantine(e master.Quarantine) error {
	if m.w.chance(m.w.cfg.Refuse) {
		m.w.log("the store refuses the quarantine of %d", e.ID)
		return errFull
	}
	m.w.store.quarantine(m.lease.Incarnation, e)
	if m.w.chance(m.w.cfg.Unknown) {
		return errUnknown
	}
	return nil
}

func (m *masterHost) wakeAt(life int, at flow.Time) {
	if m.tick > m.w.now && m.tick <= at {
		return // one that comes earlier is set
	}
	m.tick = at
	m.w.after(at.Sub(m.w.now), func() {
		if m.life == life {
			if m.tick <= m.w.now {
				m.tick = 0
			}
			m.step(master.Tick{})
		}
	})
}

// commit is the persist point: the process may die before the statement, after it, or live and
// never learn what came of it.
func (m *masterHost) commit(life int, e master.Commit) {
	w := m.w
	if w.cfg.Mutant == AckBeforePersist || w.cfg.Mutant == SendBeforeCommit {
		m.mutate(e)
	}
	late := false
	var arrive func()
	arrive = func() {
		dead := m.life != life
		if dead && !late {
			// It never reached the store, or it is on its way for long: a dead process's last words may
			// come when its successor is at work.
			if late = true; w.rng.IntN(2) == 0 {
				w.after(time.Duration(w.rng.Int64N(int64(3*time.Second))), arrive)
			}
			return
		}
		if !dead && w.chance(w.cfg.Crash) {
			m.crash("while a commit is on its way")
			arrive() // which may come yet
			return
		}
		if !dead && w.chance(w.cfg.Unknown) && w.rng.IntN(2) == 0 {
			w.log("commit of lane %d is lost on its way", e.Lane)
			m.later(life, time.Millisecond, func() master.Event { return master.Committed{Lane: e.Lane, Err: errUnknown} })
			return
		}
		res, err := w.store.commit(e.Batch)
		for i, ch := range e.Batch.Changes {
			fate := flow.Fate(0)
			if err == nil {
				fate = res.Changes[i].Fate
			}
			w.log("commit by %d: instance %d seq %d %s fate %d, %d new rows, %d changed", e.Batch.Owner, ch.Instance.ID, ch.Instance.Seq, ch.Instance.State, fate, len(ch.NewTasks), len(ch.Tasks))
		}
		if dead {
			return
		}
		if w.chance(w.cfg.Crash) {
			m.crash("after a commit")
			return
		}
		if w.chance(w.cfg.Unknown) {
			w.log("the outcome of a commit of lane %d is lost", e.Lane)
			err = errUnknown
		}
		m.later(life, 200*time.Microsecond, func() master.Event { return master.Committed{Lane: e.Lane, Result: res, Err: err} })
	}
	w.after(w.delay(500*time.Microsecond)+w.storeSlow, arrive)
}

// mutate plants faults: effects that leave before their commit is durable.
func (m *masterHost) mutate(e master.Commit) {
	for _, ch := range e.Batch.Changes {
		for _, u := range ch.Tasks {
			a := u.Row.Attempt
			if m.w.cfg.Mutant == AckBeforePersist && a.State.Ended() && a.Token != 0 {
				for _, l := range m.sortedConns() {
					l.down(&rpc.FromMaster{Master: m.lease.Incarnation, Acks: []int64{a.Token}})
				}
			}
		}
		if m.w.cfg.Mutant == SendBeforeCommit {
			for _, row := range append(append([]flow.TaskRow(nil), ch.NewTasks...), updated(ch.Tasks)...) {
				if row.State != flow.TaskDispatched || row.Attempt.Token != 0 {
					continue
				}
				for _, l := range m.sortedConns() {
					m.w.store.token++
					l.down(&rpc.FromMaster{Master: m.lease.Incarnation, Grants: []*rpc.Grant{{
						Token: m.w.store.token, Instance: int64(row.Instance), Task: int64(row.ID), Attempt: row.Attempt.Number, TaskName: row.Name, Type: row.Type,
					}}})
				}
			}
		}
	}
}

func updated(us []flow.TaskUpdate) []flow.TaskRow {
	var out []flow.TaskRow
	for _, u := range us {
		out = append(out, u.Row)
	}
	return out
}

func (m *masterHost) send(conn int64, f *rpc.FromMaster) {
	if l := m.conns[conn]; l != nil {
		l.down(f)
	}
}

// copyFrame is what the wire does: nobody shares memory with the other side.
func copyFrame[T proto.Message](f T) T { return proto.Clone(f).(T) }

func (m *masterHost) sortedConns() []*link {
	var out []*link
	for _, id := range slices.Sorted(maps.Keys(m.conns)) {
		out = append(out, m.conns[id])
	}
	return out
}
