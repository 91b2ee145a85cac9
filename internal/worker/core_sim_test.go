// Core against a simulated disk, network, runner and master, under faults that rapid chooses.

package worker_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker"
)

const (
	simLease = 10 * time.Second
	simSlots = 2
)

// sim is a worker's Core with everything around it simulated. Effects are carried out one by one,
// when the test says so; between any two of them the process may die or power may fail.
type sim struct {
	t    *rapid.T
	now  flow.Time
	core *worker.Core

	disk    []worker.Record // written
	synced  int             // of disk, survive a loss of power
	pending []worker.Persist
	running map[int64]bool // started and not finished, by whether it was killed
	started map[int64]int  // how often, ever
	excused map[int64]bool // power failed after its start: it may start again

	stream   worker.StreamID // 0: none
	welcomed bool
	up       []*rpc.FromWorker
	down     []*rpc.FromMaster
	heard    flow.Time // when the master last heard a hello or beat: its lease runs from there

	// The master:
	token    int64
	session  int64
	granted  map[int64]*rpc.Grant
	begun    map[int64]bool // "begins" was sent
	ended    map[int64]flow.AttemptState
	refused  map[int64]bool
	sessions map[int64]int64 // of tokens
	seq      int64
}

func newSim(t *rapid.T) *sim {
	s := &sim{
		t: t, now: 1e6, running: map[int64]bool{}, started: map[int64]int{}, excused: map[int64]bool{},
		granted: map[int64]*rpc.Grant{}, begun: map[int64]bool{}, ended: map[int64]flow.AttemptState{},
		refused: map[int64]bool{}, sessions: map[int64]int64{},
	}
	s.boot()
	return s
}

// boot starts the process on what the disk holds.
func (s *sim) boot() {
	state := worker.Fold(s.disk)
	state.Bury(s.now)
	s.disk = state.Records()
	s.synced = len(s.disk)
	s.pending, s.running = nil, map[int64]bool{}
	s.stream, s.welcomed, s.up, s.down = 0, false, nil, nil
	s.core = worker.NewCore(worker.CoreConfig{
		Name: "w", Home: "h", Slots: simSlots, ResendAfter: 5 * time.Second, AnnounceAfter: 5 * time.Millisecond,
		OutageGrace: time.Minute, KillGrace: time.Second, StopGrace: time.Second, CompactAfter: 300,
		Kind: func(name string) worker.Kind {
			switch name {
			case "function":
				return worker.KindFunction
			case "process":
				return worker.KindProcess
			}
			return worker.KindUnknown
		},
	}, state)
}

func (s *sim) step(events ...worker.Event) {
	for _, e := range events {
		s.t.Logf("%v event %T %v", s.now, e, e)
	}
	for _, e := range s.core.Step(s.now, events...) {
		s.t.Logf("%v   effect %T %v", s.now, e, e)
		switch e := e.(type) {
		case worker.Persist:
			e.Records = append([]worker.Record(nil), e.Records...)
			s.pending = append(s.pending, e)
		case worker.Start:
			s.start(e)
		case worker.KillAttempt:
			if _, runs := s.running[e.Token]; !runs {
				s.t.Fatalf("kill of %d, which does not run", e.Token)
			}
			s.running[e.Token] = true
		case worker.Send:
			if e.Stream == s.stream {
				s.checkSend(e.Frame)
				s.up = append(s.up, e.Frame)
			}
		case worker.Close:
			if e.Stream == s.stream {
				s.disconnect()
			}
		case worker.Measure:
			s.step(worker.Measured{})
		}
	}
	if s.heard != 0 && s.now >= s.heard.Add(simLease*3/4) {
		for token, killed := range s.running {
			if !killed {
				s.t.Fatalf("attempt %d runs on though the lease is over", token)
			}
		}
	}
}

func (s *sim) start(e worker.Start) {
	token := e.Grant.GetToken()
	s.started[token]++
	switch {
	case s.started[token] > 1 && !s.excused[token]:
		s.t.Fatalf("attempt %d started twice", token)
	case !s.onDisk(func(r worker.Record) bool { return r.Kind == worker.RecordGrant && r.Token == token }):
		s.t.Fatalf("attempt %d started before the journal had it", token)
	case s.refused[token]:
		s.t.Fatalf("attempt %d started after it was refused", token)
	case e.Grant.GetHold() && !s.begun[token]:
		s.t.Fatalf("attempt %d began without leave", token)
	case len(s.running) >= simSlots:
		s.t.Fatalf("attempt %d started beyond the slots", token)
	}
	s.excused[token] = false
	s.running[token] = false
}

func (s *sim) onDisk(is func(worker.Record) bool) bool {
	return slices.ContainsFunc(s.disk, is)
}

// checkSend holds what is said against what the disk has.
func (s *sim) checkSend(f *rpc.FromWorker) {
	if f.Hello != nil && f.Hello.Session == 0 && len(s.running) > 0 {
		s.t.Fatalf("a new incarnation says hello while %d attempts run", len(s.running))
	}
	for _, e := range f.Ended {
		if !s.onDisk(func(r worker.Record) bool { return r.Kind == worker.RecordEnd && r.End.GetToken() == e.Token }) {
			s.t.Fatalf("end of %d was sent before the journal had it", e.Token)
		}
		if _, runs := s.running[e.Token]; runs {
			s.t.Fatalf("end of %d was sent while it runs", e.Token)
		}
	}
	for _, r := range f.Refused {
		at := -1
		for i, d := range s.disk {
			if d.Kind == worker.RecordTombstone && d.Token == r.Token {
				at = i
			}
		}
		if at < 0 || at >= s.synced {
			s.t.Fatalf("%d was refused before its tombstone was safe", r.Token)
		}
		// After a loss of power the journal may have forgotten a start. Its session is over too, so the
		// master has given the attempt up; what must not begin unseen is held until "started" is durable.
		if s.started[r.Token] > 0 && !s.excused[r.Token] {
			s.t.Fatalf("%d was refused though it had started", r.Token)
		}
	}
}

// write carries out the oldest order to the disk.
func (s *sim) write() {
	if len(s.pending) == 0 {
		return
	}
	p := s.pending[0]
	s.pending = s.pending[1:]
	if p.Whole {
		s.disk = nil
	}
	s.disk = append(s.disk, p.Records...)
	if p.Sync || p.Whole {
		s.synced = len(s.disk)
	}
	s.step(worker.Persisted{ID: p.ID})
}

func (s *sim) connect() {
	if s.stream != 0 {
		return
	}
	s.seq++
	s.stream = worker.StreamID(s.seq)
	s.step(worker.StreamUp{Stream: s.stream})
}

func (s *sim) disconnect() {
	if s.stream == 0 {
		return
	}
	id := s.stream
	s.stream, s.welcomed, s.up, s.down = 0, false, nil, nil
	s.step(worker.StreamDown{Stream: id})
}

// crash ends the process; power: what was not synced may be gone, from some place on.
func (s *sim) crash(power bool) {
	if power {
		keep := rapid.IntRange(s.synced, len(s.disk)).Draw(s.t, "kept")
		s.disk = s.disk[:keep]
		for token := range s.started {
			s.excused[token] = true
		}
	}
	s.heard = 0
	s.boot()
}

// hear lets the master take the oldest frame.
func (s *sim) hear() {
	if len(s.up) == 0 {
		return
	}
	f := s.up[0]
	s.up = s.up[1:]
	out := &rpc.FromMaster{Master: 1}
	if f.Hello != nil || f.Beat != nil {
		s.heard = s.now
	}
	if f.Hello != nil {
		s.hello(f.Hello, out)
	}
	for _, st := range f.Started {
		if s.granted[st.Token].GetHold() {
			s.begun[st.Token] = true
			out.Begins = append(out.Begins, st.Token)
		}
	}
	for _, e := range f.Ended {
		if s.refused[e.Token] {
			s.t.Fatalf("%d was refused and ended", e.Token)
		}
		if _, known := s.ended[e.Token]; !known {
			s.ended[e.Token] = flow.AttemptState(e.State)
		}
		out.Acks = append(out.Acks, e.Token)
	}
	for _, r := range f.Refused {
		s.refused[r.Token] = true
	}
	if f.Beat != nil {
		out.Renew, out.Beat = true, f.Beat.Number
	}
	s.down = append(s.down, out)
}

// hello settles what the worker holds by the table of package attempt, in the parts that matter
// to the worker.
func (s *sim) hello(h *rpc.Hello, out *rpc.FromMaster) {
	session := h.Session
	if session == 0 {
		s.session++
		session = s.session
	}
	out.Welcome = &rpc.Welcome{Session: session, Generation: 1, LeaseMicros: simLease.Microseconds()}
	held := map[int64]rpc.HeldState{}
	for _, a := range h.Held {
		held[a.Token] = a.State
		action := rpc.SettleAction_SETTLE_ACTION_KEEP
		if a.State == rpc.HeldState_HELD_STATE_ENDED {
			action = rpc.SettleAction_SETTLE_ACTION_SEND_RESULT
			if _, known := s.ended[a.Token]; known {
				action = rpc.SettleAction_SETTLE_ACTION_FORGET
			}
		}
		out.Welcome.Settle = append(out.Welcome.Settle, &rpc.Settle{Token: a.Token, Action: action})
	}
	for token := int64(1); token <= s.token; token++ {
		_, over := s.ended[token]
		if s.granted[token] == nil || over || s.refused[token] || held[token] != 0 {
			continue
		}
		if s.sessions[token] == session {
			out.Grants = append(out.Grants, s.granted[token]) // it may have been lost on its way
		} else {
			s.ended[token] = flow.AttemptLost
		}
	}
}

// deliver gives the worker the oldest frame.
func (s *sim) deliver() {
	if len(s.down) == 0 {
		return
	}
	f := s.down[0]
	s.down = s.down[1:]
	if f.Welcome != nil {
		s.welcomed = true
	}
	s.step(worker.Frame{Stream: s.stream, Frame: f})
}

func (s *sim) grant(hold bool, kind string) {
	if s.stream == 0 || !s.welcomed {
		return
	}
	s.token++
	g := &rpc.Grant{Token: s.token, Instance: s.token % 3, Task: s.token, Type: kind, Hold: hold}
	s.granted[s.token] = g
	s.sessions[s.token] = s.session
	s.down = append(s.down, &rpc.FromMaster{Master: 1, Grants: []*rpc.Grant{g}})
}

// again repeats an order that was given before, or kills what was never granted.
func (s *sim) again(token int64, kill bool) {
	if s.stream == 0 || !s.welcomed || token > s.token+1 {
		return
	}
	if s.granted[token] == nil && !kill && token <= s.token {
		// A grant that comes after the kill which overtook it.
		s.granted[token] = &rpc.Grant{Token: token, Instance: token % 3, Task: token, Type: "process"}
		s.sessions[token] = s.session
	}
	if g := s.granted[token]; g != nil && !kill && s.sessions[token] == s.session {
		s.down = append(s.down, &rpc.FromMaster{Master: 1, Grants: []*rpc.Grant{g}})
	}
	if kill {
		s.token = max(s.token, token)
		s.down = append(s.down, &rpc.FromMaster{Master: 1, Kills: []*rpc.Kill{{Token: token, Instance: token % 3, Task: token}}})
	}
}

// finish ends a running attempt, as killed if it was.
func (s *sim) finish(token int64) {
	killed := s.running[token]
	delete(s.running, token)
	e := worker.End{State: flow.AttemptSucceeded, ExitCode: 0, StartedAt: s.now, EndedAt: s.now, Confirmed: true}
	if killed {
		e.State, e.ExitCode = flow.AttemptKilled, flow.NoExit
	}
	s.step(worker.Finished{Token: token, End: e})
}

func (s *sim) some() (int64, bool) {
	for token := int64(1); token <= s.token; token++ {
		if _, runs := s.running[token]; runs && rapid.Bool().Draw(s.t, "this") {
			return token, true
		}
	}
	return 0, false
}

func (s *sim) act() {
	t := s.t
	switch rapid.IntRange(0, 14).Draw(t, "act") {
	case 0:
		s.connect()
	case 1, 2:
		s.hear()
	case 3, 4:
		s.deliver()
	case 5, 6:
		s.write()
	case 7:
		s.grant(rapid.Bool().Draw(t, "hold"), rapid.SampledFrom([]string{"function", "process", "process", "unknown"}).Draw(t, "type"))
	case 8:
		s.again(rapid.Int64Range(1, s.token+1).Draw(t, "token"), rapid.Bool().Draw(t, "kill"))
	case 9:
		if token, ok := s.some(); ok {
			s.finish(token)
		}
	case 10:
		if token, ok := s.some(); ok {
			s.step(worker.Began{Token: token, At: s.now})
		}
	case 11:
		s.pass(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
	case 12:
		s.disconnect()
	case 13:
		s.pass(3900 * time.Millisecond) // more than one beat, and twice it is more than the lease bears
	case 14:
		switch rapid.IntRange(0, 7).Draw(t, "fault") {
		case 0:
			s.crash(false)
		case 1:
			s.crash(true)
		case 2:
			s.pass(2 * simLease) // frozen
		}
	}
}

func (s *sim) pass(d time.Duration) {
	s.now = s.now.Add(d)
	s.step(worker.Tick{})
}

// calm lets everything happen that is under way, with no more faults.
func (s *sim) calm() {
	for range 400 {
		s.connect()
		for s.stream != 0 && len(s.up)+len(s.down) > 0 {
			s.hear()
			s.deliver()
		}
		for len(s.pending) > 0 {
			s.write()
		}
		for token := int64(1); token <= s.token; token++ {
			if _, runs := s.running[token]; runs {
				s.finish(token)
			}
		}
		s.pass(200 * time.Millisecond)
	}
}

// TestNothingIsLostOrDoubled: whatever fails, every granted attempt ends up ended or refused at the
// master, none starts twice, and nothing is said that the disk does not have.
func TestNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		for range rapid.IntRange(10, 150).Draw(t, "steps") {
			s.act()
		}
		s.calm()
		for token := int64(1); token <= s.token; token++ {
			_, over := s.ended[token]
			if s.granted[token] != nil && !over && !s.refused[token] {
				t.Errorf("attempt %d is neither ended nor refused (started %d times)", token, s.started[token])
			}
			if s.started[token] == 0 && s.ended[token] == flow.AttemptSucceeded {
				t.Errorf("attempt %d succeeded without a start", token)
			}
		}
		state := worker.Fold(s.disk)
		if len(state.Live) > 0 {
			t.Errorf("the journal still has %v", state.Live)
		}
	})
}

// TestSameEventsSameEffects: a Core is a function of its events.
func TestSameEventsSameEffects(t *testing.T) {
	t.Parallel()
	run := func() string {
		var trace string
		c := worker.NewCore(worker.CoreConfig{Slots: 8, KillGrace: 1, StopGrace: 1, CompactAfter: 1 << 20, Kind: func(string) worker.Kind { return worker.KindProcess }}, worker.State{})
		step := func(now flow.Time, events ...worker.Event) {
			for _, e := range c.Step(now, events...) {
				trace += fmt.Sprintf("%T %v\n", e, e)
			}
		}
		step(1, worker.StreamUp{Stream: 1})
		step(2, worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Welcome: &rpc.Welcome{Session: 9, LeaseMicros: 1e6}}})
		var grants []*rpc.Grant
		for i := range int64(12) {
			grants = append(grants, &rpc.Grant{Token: 100 - i, Instance: 1})
		}
		step(3, worker.Frame{Stream: 1, Frame: &rpc.FromMaster{Grants: grants}})
		step(4, worker.Persisted{ID: 1}, worker.Persisted{ID: 2, Err: errors.New("full")})
		step(1e6, worker.Tick{})
		return trace
	}
	if a, b := run(), run(); a != b {
		t.Errorf("first\n%s\nthen\n%s", a, b)
	}
}
