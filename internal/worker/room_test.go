package worker_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker"
)

// roomMaster is a master that fills its room: it grants as long as it believes that it may.
type roomMaster struct {
	id      worker.StreamID
	up      []*rpc.FromWorker // on their way to it
	down    []*rpc.FromMaster // on their way to the worker
	room    *rpc.Room
	live    map[int64]string // token → type
	queued  map[string]int
	said    map[string]int32
	welcome bool
}

// roomSim is a worker with several masters, whose frames are delivered when rapid says so.
type roomSim struct {
	t       *rapid.T
	now     flow.Time
	core    *worker.Core
	masters []*roomMaster
	running []*rpc.Grant
	token   int64
	stream  worker.StreamID
}

// roomSlots are the places by type.
var (
	roomSlots = map[string]int{"process": 5, "function": 3}
	roomTypes = []string{"process", "function"}
)

func newRoomSim(t *rapid.T) *roomSim {
	return &roomSim{t: t, now: 1e6, core: worker.NewCore(worker.CoreConfig{
		Name: "w", Home: "h", Slots: roomSlots["process"], FunctionSlots: roomSlots["function"], ResendAfter: 5 * time.Second, AnnounceAfter: 5 * time.Millisecond,
		OutageGrace: time.Minute, KillGrace: time.Second, StopGrace: time.Second, CompactAfter: 1 << 20,
		Kind: func(typ string) worker.Kind {
			if typ == "function" {
				return worker.KindFunction
			}
			return worker.KindProcess
		},
	}, worker.Fold(nil))}
}

func (s *roomSim) step(events ...worker.Event) {
	for _, e := range s.core.Step(s.now, events...) {
		switch e := e.(type) {
		case worker.Persist:
			s.step(worker.Persisted{ID: e.ID})
		case worker.Start:
			s.running = append(s.running, e.Grant)
		case worker.Send:
			if m := s.master(e.Stream); m != nil {
				m.up = append(m.up, proto.Clone(e.Frame).(*rpc.FromWorker))
			}
		}
	}
	count := map[string]int{}
	for _, g := range s.running {
		count[g.GetType()]++
	}
	for typ, n := range count {
		if n > roomSlots[typ] {
			s.t.Fatalf("%d of type %s run in %d places", n, typ, roomSlots[typ])
		}
	}
}

func (s *roomSim) master(id worker.StreamID) *roomMaster {
	for _, m := range s.masters {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (s *roomSim) say(m *roomMaster, f *rpc.FromMaster) {
	f.Master = int64(m.id)
	m.down = append(m.down, f)
}

func (s *roomSim) connect() {
	s.stream++
	s.masters = append(s.masters, &roomMaster{id: s.stream, live: map[int64]string{}, queued: map[string]int{}, said: map[string]int32{}})
	s.step(worker.StreamUp{Stream: s.stream})
}

// hear delivers the oldest frame to a master.
func (s *roomSim) hear(m *roomMaster) {
	f := m.up[0]
	m.up = m.up[1:]
	if f.Hello != nil {
		m.welcome = true
		s.say(m, &rpc.FromMaster{Welcome: &rpc.Welcome{Session: 7, Generation: 1, LeaseMicros: (10 * time.Second).Microseconds()}})
	}
	for _, e := range f.Ended {
		delete(m.live, e.Token)
		s.say(m, &rpc.FromMaster{Acks: []int64{e.Token}})
	}
	if len(f.Refused) > 0 {
		s.t.Fatalf("master %d in its room of %v was refused: %v", m.id, m.room, f.Refused)
	}
	if f.Room != nil {
		m.room = f.Room
		s.say(m, &rpc.FromMaster{Room: f.Room.Number})
	}
	s.fill(m)
}

// fill grants what the room allows, and asks for more.
func (s *roomSim) fill(m *roomMaster) {
	if m.room == nil {
		return
	}
	for _, typ := range roomTypes {
		places := map[string]int32{"process": m.room.Places, "function": m.room.Functions}[typ]
		for m.queued[typ] > 0 && m.holds(typ) < int(places) {
			m.queued[typ]--
			s.token++
			m.live[s.token] = typ
			s.say(m, &rpc.FromMaster{Grants: []*rpc.Grant{{Token: s.token, Instance: s.token, Task: s.token, Type: typ}}})
		}
		if n := int32(m.queued[typ]); m.room.Shared && n != m.said[typ] {
			m.said[typ] = n
			wants := &rpc.FromMaster{Wants: new(n)}
			if typ == "function" {
				wants = &rpc.FromMaster{WantsFunctions: new(n)}
			}
			s.say(m, wants)
		}
	}
}

func (m *roomMaster) holds(typ string) (n int) {
	for _, t := range m.live {
		if t == typ {
			n++
		}
	}
	return n
}

func (s *roomSim) deliver(m *roomMaster) {
	f := m.down[0]
	m.down = m.down[1:]
	s.step(worker.Frame{Stream: m.id, Frame: f})
}

func (s *roomSim) finish(i int) {
	token := s.running[i].GetToken()
	s.running = append(s.running[:i:i], s.running[i+1:]...)
	s.step(worker.Finished{Token: token, End: worker.End{State: flow.AttemptSucceeded, StartedAt: s.now, EndedAt: s.now, Confirmed: true}})
}

func TestMastersShareTheRoom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newRoomSim(t)
		for range rapid.IntRange(1, 3).Draw(t, "masters") {
			s.connect()
		}
		t.Repeat(map[string]func(*rapid.T){
			"deliver": func(t *rapid.T) {
				m := s.masters[rapid.IntRange(0, len(s.masters)-1).Draw(t, "to")]
				if len(m.down) == 0 {
					t.Skip("nothing on its way")
				}
				s.deliver(m)
			},
			"hear": func(t *rapid.T) {
				m := s.masters[rapid.IntRange(0, len(s.masters)-1).Draw(t, "master")]
				if len(m.up) == 0 {
					t.Skip("nothing on its way")
				}
				s.hear(m)
			},
			"finish": func(t *rapid.T) {
				if len(s.running) == 0 {
					t.Skip("nothing runs")
				}
				s.finish(rapid.IntRange(0, len(s.running)-1).Draw(t, "which"))
			},
			"queue": func(t *rapid.T) {
				m := s.masters[rapid.IntRange(0, len(s.masters)-1).Draw(t, "master")]
				m.queued[rapid.SampledFrom(roomTypes).Draw(t, "type")] += rapid.IntRange(1, 8).Draw(t, "tasks")
				s.fill(m)
			},
		})
		// Everything is delivered and nothing ends: the worker is full if there is enough to do.
		for busy := true; busy; {
			busy = false
			for _, m := range s.masters {
				for len(m.up) > 0 {
					s.hear(m)
					busy = true
				}
				for len(m.down) > 0 {
					s.deliver(m)
					busy = true
				}
			}
		}
		for _, typ := range roomTypes {
			queued, live := 0, 0
			for _, m := range s.masters {
				queued += m.queued[typ]
				live += m.holds(typ)
			}
			if queued > 0 && live < roomSlots[typ] {
				t.Fatalf("%d of type %s wait although only %d of %d places are taken", queued, typ, live, roomSlots[typ])
			}
		}
	})
}

func TestSecondMasterIsGreetedWithTheSession(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newRoomSim(t)
		s.connect()
		s.connect()
		first, second := s.masters[0], s.masters[1]
		if len(first.up) != 1 || len(second.up) != 0 {
			t.Fatalf("%d and %d frames before there is a session; one hello is wanted", len(first.up), len(second.up))
		}
		s.hear(first)
		s.deliver(first)
		if len(second.up) != 1 || second.up[0].GetHello().GetSession() != 7 {
			t.Fatalf("the second master got %v; a hello with the session is wanted", second.up)
		}
	})
}

// A master that comes late to a worker full of others' work, which never ends to be more, gets its
// share as soon as enough of it has ended.
func TestLateMasterIsNotStarved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newRoomSim(t)
		exchange := func() {
			for busy := true; busy; {
				busy = false
				for _, m := range s.masters {
					for ; len(m.up) > 0; busy = true {
						s.hear(m)
					}
					for ; len(m.down) > 0; busy = true {
						s.deliver(m)
					}
				}
			}
		}
		for range 2 {
			s.connect()
			exchange()
			s.masters[len(s.masters)-1].queued["process"] = 1000
			s.fill(s.masters[len(s.masters)-1])
		}
		exchange()
		s.connect()
		exchange()
		late := s.masters[2]
		late.queued["process"] = rapid.IntRange(1, 5).Draw(t, "late")
		s.fill(late)
		exchange()
		for n := 0; late.holds("process") == 0; n++ {
			if n == roomSlots["process"] {
				t.Fatalf("%d attempts of the others have ended and begun anew, and the late master got no place", n)
			}
			s.finish(0) // the oldest
			exchange()
		}
	})
}
