// The fleet: which other masters are there, which seem dead, and when one may be declared so.
//
// Two things end a master. Its host says that its process is gone: that is proof, and it is acted
// on at once. Or its lease in the registry is over: that is a guess, and only a witness may make
// it, who has seen registry and store without a gap for a whole lease; after an outage everybody
// is missing for a while, and everybody's lease begins anew. A guess may be wrong, since a frozen
// process wakes up: the fence in the store makes that harmless.

package master

import (
	"fmt"
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
)

const (
	// probeAgain is how long a probe's answer stands.
	probeAgain = time.Second
	// fenceGap is kept between two fences while most of the fleet looks dead: then it is likelier
	// that the witness is wrong.
	fenceGap = 200 * time.Millisecond
)

// fleet is what a core knows of the other masters.
type fleet struct {
	lease  time.Duration
	view   registry.View
	rows   []flow.Peer // masters of the store that are not done with, without me, by incarnation
	stands map[int64]*stand
	// stored is since when the store has answered without a gap, 0 while it does not.
	stored  flow.Time
	heard   flow.Time // its last answer
	fenced  flow.Time // the last one
	reading bool      // the store is being asked for rows
	readAt  flow.Time // when it is asked again although there is no hint
	again   bool      // and is to be asked once more
	// condemned are the masters that were declared dead last, for workers that join: one that was frozen
	// may have orders for them.
	condemned []int64
}

// keepCondemned is how many dead masters a worker is told of that joins. None is frozen for that many.
const keepCondemned = 32

// buried notes that a master is fenced.
func (f *fleet) buried(dead int64) {
	f.stand(dead).dead = true
	f.condemned = append(slices.DeleteFunc(f.condemned, func(id int64) bool { return id == dead }), dead)
	f.condemned = f.condemned[max(0, len(f.condemned)-keepCondemned):]
}

// stand is how one master stands.
type stand struct {
	seen    bool      // in some view
	missing flow.Time // since when it is absent, 0: it is not
	suspect bool      // its link broke
	probing bool
	probed  flow.Time // when the last probe answered, 0: none since it was last well
	outcome rpc.Outcome
	fencing bool
	again   flow.Time // not to be fenced before, since that failed
	dead    bool      // it is fenced, whatever was read before
}

func newFleet(lease time.Duration) fleet {
	return fleet{lease: lease, stands: make(map[int64]*stand)}
}

func (f *fleet) stand(id int64) *stand {
	s := f.stands[id]
	if s == nil {
		s = &stand{}
		f.stands[id] = s
	}
	return s
}

// viewed takes what the registry shows.
func (f *fleet) viewed(v registry.View, now flow.Time) {
	f.view = v
	for _, m := range v.OfRole(flow.RoleMaster) {
		f.stand(m.Incarnation).seen = true
	}
	f.note(now)
}

// read takes the masters that the store knows.
func (f *fleet) read(rows []flow.Peer, now flow.Time) {
	f.rows = rows
	for id := range f.stands { // only removal: the order does not matter
		if _, shown := f.view.Find(id); !shown && !slices.ContainsFunc(rows, func(r flow.Peer) bool { return r.Incarnation == id }) {
			delete(f.stands, id)
		}
	}
	f.note(now)
}

// note begins or ends absences: a master is absent when the registry does not show it, or when it
// did not renew its lease in the store, which it may be cut off from while the registry hears it.
func (f *fleet) note(now flow.Time) {
	for _, r := range f.rows {
		s := f.stand(r.Incarnation)
		_, shown := f.view.Find(r.Incarnation)
		switch {
		case shown && !r.Stale:
			s.missing = 0
		case s.missing == 0:
			s.missing = now
		}
	}
}

// linked takes what became of the link to a master.
func (f *fleet) linked(id int64, up bool) {
	s := f.stand(id)
	s.suspect = !up
	if up {
		s.probed = 0
	}
}

// answered notes whether the store answers. A long silence is a gap, too: the store was away and nothing
// was asked, or the answers did not come, or this process was frozen.
func (f *fleet) answered(ok bool, now flow.Time) {
	switch {
	case !ok:
		f.stored = 0
		return
	case f.stored == 0 || now.Sub(f.heard) > f.lease/2:
		f.stored = now
	}
	f.heard = now
}

// sees tells whether the store has answered without a gap for as long as a lease, and still does.
func (f *fleet) sees(now flow.Time, lease time.Duration) bool {
	return f.stored != 0 && now.Sub(f.stored) >= lease && now.Sub(f.heard) <= lease/2
}

// witness tells whether this master may conclude a death from an absence.
func (f *fleet) witness(now flow.Time) bool {
	return f.view.Since != 0 && now.Sub(f.view.Since) >= f.lease && f.sees(now, f.lease)
}

// verdict on one master, and why.
type verdict struct {
	peer  flow.Peer
	fence bool   // declare it dead
	guess bool   // there is no proof
	why   string // for people
	probe bool   // ask it first
	heir  bool   // it is declared dead, and what it owned is to be handed on
}

// judge says what is to be done about each master of the store, by incarnation.
func (f *fleet) judge(now flow.Time) []verdict {
	var out []verdict
	for _, r := range f.rows {
		s := f.stand(r.Incarnation)
		switch {
		case r.Fenced || s.dead:
			if r.Owns && !s.fencing {
				out = append(out, verdict{peer: r, heir: true})
			}
		case s.fencing || s.again > now || !s.suspect && s.missing == 0:
		case s.probed != 0 && s.outcome == rpc.Gone:
			out = append(out, verdict{peer: r, fence: true, why: "its host says that its process is gone"})
		case r.Address != "" && !s.probing && (s.probed == 0 || now.Sub(s.probed) >= probeAgain):
			out = append(out, verdict{peer: r, probe: true})
		case s.missing == 0, s.probing, s.probed != 0 && s.outcome == rpc.Alive:
			// Its lease holds, or it answers and does its work: a lost session of the registry is no death.
		case f.witness(now) && (s.seen || now.Sub(s.missing) >= f.lease):
			out = append(out, verdict{peer: r, fence: true, guess: true, why: fmt.Sprintf("its lease of %s is over and it %s", f.lease, s.words())})
		}
	}
	return f.calm(out, now)
}

// words end the reason of a fence.
func (s *stand) words() string {
	if s.outcome == rpc.Astray {
		return "says that the store does not answer it"
	}
	return "does not answer"
}

// calm leaves at most one guess at a time while most of the fleet looks dead. What is proven is no
// guess.
func (f *fleet) calm(all []verdict, now flow.Time) []verdict {
	fences := 0
	for _, v := range all {
		if v.fence {
			fences++
		}
	}
	for _, r := range f.rows {
		if f.stand(r.Incarnation).fencing {
			fences++
		}
	}
	if fences*2 <= len(f.rows)+1 {
		return all
	}
	left := now.Sub(f.fenced) >= fenceGap
	return slices.DeleteFunc(all, func(v verdict) bool {
		if !v.guess {
			return false
		}
		first := left
		left = false
		return !first
	})
}

// next is when judge may say something new although nothing happens, 0 for never. It has said
// everything that is due now.
func (f *fleet) next(now flow.Time) (at flow.Time) {
	soonest := func(t flow.Time) {
		if t > now {
			at = flow.Earliest(at, t)
		}
	}
	for _, r := range f.rows {
		s := f.stand(r.Incarnation)
		if r.Fenced || s.dead || s.fencing || !s.suspect && s.missing == 0 {
			continue
		}
		soonest(s.again)
		if s.probed != 0 && !s.probing {
			soonest(s.probed.Add(probeAgain))
		}
		if s.missing == 0 {
			continue
		}
		for _, t := range []flow.Time{f.view.Since, f.stored, s.missing} {
			soonest(t.Add(f.lease))
		}
	}
	soonest(f.fenced.Add(fenceGap))
	return at
}

// heirs are the masters that a dead one's work is handed to, me among them, by incarnation:
// everybody who is well and takes work, me alone if nobody else is.
func (f *fleet) heirs(me, dead int64) []int64 {
	out := append(f.others(me, dead), me)
	slices.Sort(out)
	return out
}

// others are the masters that are well and take work, without me and a dead one, by incarnation.
func (f *fleet) others(me, dead int64) []int64 {
	var out []int64
	for _, m := range f.view.OfRole(flow.RoleMaster) {
		s := f.stands[m.Incarnation]
		if m.Incarnation == me || m.Incarnation == dead || m.State == flow.NodeDraining || s != nil && (s.suspect || s.fencing || s.dead || s.missing != 0) || m.Engine < flow.EngineVersion {
			continue
		}
		out = append(out, m.Incarnation)
	}
	return out
}
