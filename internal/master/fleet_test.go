package master

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// fleetTest tells a fleet what happens and asks what it concludes.
type fleetTest struct {
	*testing.T
	fleet
	now  flow.Time
	rows map[int64]flow.Peer
	view map[int64]bool
}

const fleetStart = flow.Time(1767225600 * 1_000_000)

// newFleetTest is master 1 of three, all well, a lease and more after the start.
func newFleetTest(t *testing.T) *fleetTest {
	t.Helper()
	f := &fleetTest{T: t, fleet: newFleet(10 * time.Second), now: fleetStart, rows: map[int64]flow.Peer{}, view: map[int64]bool{1: true}}
	for id := int64(2); id <= 3; id++ {
		f.rows[id] = flow.Peer{Incarnation: id, Name: fmt.Sprintf("m%d", id), Address: fmt.Sprintf("h%d:1", id), Owns: true}
		f.view[id] = true
	}
	f.answered(true, f.now)
	f.look(f.now)
	f.after(30 * time.Second)
	return f
}

// look has registry and store read; the registry is known without a gap since a time.
func (f *fleetTest) look(since flow.Time) {
	v := registry.View{Since: since}
	for _, id := range slices.Sorted(func(yield func(int64) bool) {
		for id := range f.view {
			if !yield(id) {
				return
			}
		}
	}) {
		v.Members = append(v.Members, registry.Member{Incarnation: id, Role: flow.RoleMaster, State: "ready", Engine: flow.EngineVersion})
	}
	f.viewed(v, f.now)
	var rows []flow.Peer
	for id := int64(2); id <= 3; id++ {
		if r, ok := f.rows[id]; ok {
			rows = append(rows, r)
		}
	}
	f.read(rows, f.now)
}

// after lets time pass in which the store answers, unless it is away.
func (f *fleetTest) after(d time.Duration) {
	for end := f.now.Add(d); f.now < end; {
		f.now = min(end, f.now.Add(f.lease/10))
		if f.stored != 0 {
			f.answered(true, f.now)
		}
	}
}

func (f *fleetTest) probe(id int64, o rpc.Outcome) {
	s := f.stand(id)
	s.probing, s.probed, s.outcome = false, f.now, o
}

func (f *fleetTest) vanish(id int64) {
	delete(f.view, id)
	f.look(fleetStart)
}

func (f *fleetTest) want(want string) {
	f.Helper()
	var got []string
	for _, v := range f.judge(f.now) {
		word := map[bool]string{v.fence: "fence", v.probe: "probe", v.heir: "heir"}[true]
		got = append(got, fmt.Sprintf("%s %d", word, v.peer.Incarnation))
	}
	if s := strings.Join(got, ", "); s != want {
		f.Errorf("after %s: %q, want %q", f.now.Sub(fleetStart), s, want)
	}
}

func TestAllWell(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.want("")
	if at := f.next(f.now); at != 0 {
		t.Errorf("it wants to look again at %s although nothing is to come", at)
	}
}

func TestBrokenLinkIsAHintOnly(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.linked(2, false)
	f.want("probe 2")
	f.stand(2).probing = true
	f.want("")
	f.probe(2, rpc.Silent)
	f.want("")
	f.after(probeAgain)
	f.want("probe 2")
	f.probe(2, rpc.Alive)
	f.want("")
	f.linked(2, true)
	f.after(time.Minute)
	f.want("")
}

func TestGoneProcessIsFencedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.linked(2, false)
	f.probe(2, rpc.Gone)
	f.want("fence 2") // its lease still holds
}

func TestGoneProcessNeedsNoWitness(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	delete(f.view, 2)
	f.look(f.now) // the registry was away and is back this moment
	f.answered(false, f.now)
	f.answered(true, f.now)
	f.want("probe 2")
	f.probe(2, rpc.Gone)
	f.want("fence 2")
}

func TestLeaseOver(t *testing.T) {
	t.Parallel()
	for _, o := range []rpc.Outcome{rpc.Silent, rpc.Astray} {
		f := newFleetTest(t)
		f.vanish(2)
		f.want("probe 2")
		f.probe(2, o)
		f.want("fence 2")
	}
	f := newFleetTest(t)
	f.vanish(2)
	f.probe(2, rpc.Alive)
	f.want("") // a lost session of the registry is no death
	f.after(time.Minute)
	f.want("probe 2")
}

func TestStaleInTheStoreIsAbsent(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	r := f.rows[2]
	r.Stale = true
	f.rows[2] = r
	f.look(fleetStart)
	f.want("probe 2")
	f.probe(2, rpc.Astray)
	f.want("fence 2")
}

func TestOutageOfTheRegistryFellsNobody(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	back := f.now
	delete(f.view, 2)
	delete(f.view, 3)
	f.look(back)
	f.probe(2, rpc.Silent)
	f.probe(3, rpc.Silent)
	f.want("")
	f.after(9 * time.Second)
	f.probe(2, rpc.Silent)
	f.probe(3, rpc.Silent)
	f.want("")
	f.view[3] = true // came back within the lease
	f.look(back)
	f.after(time.Second)
	f.probe(2, rpc.Silent)
	f.want("fence 2")
}

func TestFenceThatFailsIsTriedAgainAfterAPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.see(7, 8)
	b.step(PeersRead{Peers: []flow.Peer{{Incarnation: 8, Name: "m2", Address: "a"}}})
	b.step(Linked{Incarnation: 8})
	b.step(Probed{Incarnation: 8, Outcome: rpc.Gone})
	tries := len(every[Condemn](b))
	for end := b.now.Add(3500 * time.Millisecond); b.now < end; b.now = b.now.Add(10 * time.Millisecond) {
		if len(every[Condemn](b)) > 0 {
			b.step(Condemned{Dead: 8, Err: errors.New("the store is away")})
		} else {
			b.step(Tick{})
		}
		tries += len(every[Condemn](b))
	}
	if tries < 3 || tries > 5 {
		t.Errorf("%d tries in 3.5 s", tries)
	}
}

func TestOutageOfTheStoreFellsNobody(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.answered(false, f.now)
	f.vanish(2)
	f.probe(2, rpc.Silent)
	f.want("")
	f.answered(true, f.now)
	f.after(9 * time.Second)
	f.probe(2, rpc.Silent)
	f.want("")
	if at := f.next(f.now); at == 0 || at > f.now.Add(time.Second) {
		t.Errorf("it would look again at %s, too late", at)
	}
	f.after(time.Second)
	f.probe(2, rpc.Silent)
	f.want("fence 2")
}

// A store that is silent, or a witness that was frozen: nothing was heard for a while, and what was
// missed nobody knows.
func TestSilenceOfTheStoreFellsNobody(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.vanish(2)
	f.probe(2, rpc.Silent)
	f.now = f.now.Add(6 * time.Second)
	f.probe(2, rpc.Silent)
	f.want("")
	f.answered(true, f.now)
	f.want("")
	f.after(9 * time.Second)
	f.probe(2, rpc.Silent)
	f.want("")
	f.after(time.Second)
	f.probe(2, rpc.Silent)
	f.want("fence 2")
}

func TestNeverSeenGetsAWholeLease(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.rows[3] = flow.Peer{Incarnation: 3, Name: "new"} // registered, not announced yet, says no address
	delete(f.view, 3)
	delete(f.stands, 3)
	f.look(fleetStart)
	f.want("")
	f.after(10 * time.Second)
	f.want("fence 3")
}

func TestMostOfTheFleetLooksDead(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	f.vanish(2)
	f.vanish(3)
	f.probe(2, rpc.Silent)
	f.probe(3, rpc.Silent)
	f.want("fence 2")
	f.fenced = f.now
	f.stand(2).fencing = true
	f.want("")
	f.after(fenceGap)
	f.probe(3, rpc.Silent)
	f.want("fence 3")
	r := f.rows[2]
	r.Fenced = true
	f.rows[2] = r
	f.stand(2).fencing = false
	f.look(fleetStart)
	f.want("heir 2, fence 3")
}

func TestHeirs(t *testing.T) {
	t.Parallel()
	f := newFleetTest(t)
	if got := f.heirs(1, 2); !slices.Equal(got, []int64{1, 3}) {
		t.Errorf("heirs %v", got)
	}
	f.linked(3, false)
	if got := f.heirs(1, 2); !slices.Equal(got, []int64{1}) {
		t.Errorf("heirs %v: one that is suspect is none", got)
	}
}
