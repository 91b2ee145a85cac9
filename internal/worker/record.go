// What the worker remembers across its own death, as records, and the state they add up to.

package worker

import (
	"slices"
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker/supervisor"
)

// RecordKind says what a record tells. Numbers are on disk: never reuse one.
type RecordKind uint8

// Kinds of records.
const (
	RecordSession   RecordKind = 1 // a session was given
	RecordGrant     RecordKind = 2 // an attempt was taken and may have begun
	RecordProcess   RecordKind = 3 // its process runs
	RecordEnd       RecordKind = 4 // an attempt ended; its result waits for an acknowledgement
	RecordTombstone RecordKind = 5 // an attempt must never start here
	RecordDrop      RecordKind = 6 // tokens that need no memory any more
)

// Record is one line of the journal. Which fields are set depends on Kind.
type Record struct {
	Kind     RecordKind
	Token    int64               // of Grant, Process, Tombstone
	Instance int64               // of Grant, Tombstone
	Task     int64               // of Grant, Tombstone
	At       flow.Time           // of Process: when it began
	Session  int64               // of Session
	Gen      int64               // of Session: generation of the store
	Cluster  string              // of Session: identity of the store
	Process  supervisor.Identity // of Process
	End      *rpc.Ended          // of End
	Dropped  []int64             // of Drop
}

// State is what a journal adds up to.
type State struct {
	Session    int64 // the last one
	Generation int64
	Cluster    string               // that all of it belongs to, "": it is not known
	Earlier    []int64              // sessions before it, oldest first
	Live       map[int64]Live       // attempts without an end
	Ends       map[int64]*rpc.Ended // results that were not acknowledged
	Tombstones []Tombstone          // oldest first
	Done       []int64              // acknowledged last, oldest first

	// Of a session that goes on, see Adopt; never in a journal:
	Same                bool
	Lease               time.Duration
	RenewedAt, OutageAt flow.Time
}

// Live is an attempt that was taken and has no end in the journal.
type Live struct {
	Instance, Task int64
	Process        supervisor.Identity // zero: none is known
	At             flow.Time           // when the process began
	Grace          time.Duration       // of an adopted one
}

// Tombstone is an attempt that must never start here.
type Tombstone struct{ Token, Instance, Task int64 }

// What is kept of things that only grow. A tombstone is needed as long as a grant from before the
// kill may still be under way, and streams do not outlive the process; so a day's worth is ample.
const (
	keepEarlier    = 16
	keepTombstones = 1 << 14
	// A master may grant again what has ended here while the result lies in the inbox: for as long as it
	// takes to read that.
	keepDone = 1 << 12
)

// Fold adds up records.
func Fold(records []Record) State {
	s := State{Live: map[int64]Live{}, Ends: map[int64]*rpc.Ended{}}
	for _, r := range records {
		switch r.Kind {
		case RecordSession:
			if s.Session != 0 && s.Session != r.Session {
				s.Earlier = keepLast(append(s.Earlier, s.Session), keepEarlier)
			}
			s.Session, s.Generation, s.Cluster = r.Session, r.Gen, r.Cluster
		case RecordGrant:
			s.Live[r.Token] = Live{Instance: r.Instance, Task: r.Task}
		case RecordProcess:
			if l, held := s.Live[r.Token]; held {
				l.Process, l.At = r.Process, r.At
				s.Live[r.Token] = l
			}
		case RecordEnd:
			delete(s.Live, r.End.GetToken())
			s.Ends[r.End.GetToken()] = r.End
		case RecordTombstone:
			delete(s.Live, r.Token)
			s.Tombstones = keepLast(append(s.Tombstones, Tombstone{r.Token, r.Instance, r.Task}), keepTombstones)
		case RecordDrop:
			for _, token := range r.Dropped {
				delete(s.Live, token)
				delete(s.Ends, token)
			}
			s.Done = keepLast(append(s.Done, r.Dropped...), keepDone)
		case recordSynced: // of the file alone
		}
	}
	return s
}

// Records returns a short journal that adds up to s.
func (s State) Records() []Record {
	out := make([]Record, 0, len(s.Earlier)+len(s.Live)+len(s.Ends)+len(s.Tombstones)+2)
	for _, id := range s.Earlier {
		out = append(out, Record{Kind: RecordSession, Session: id, Gen: s.Generation, Cluster: s.Cluster})
	}
	if s.Session != 0 {
		out = append(out, Record{Kind: RecordSession, Session: s.Session, Gen: s.Generation, Cluster: s.Cluster})
	}
	if len(s.Done) > 0 {
		out = append(out, Record{Kind: RecordDrop, Dropped: s.Done[max(0, len(s.Done)-keepDone):]})
	}
	for _, token := range sortedKeys(s.Live) {
		l := s.Live[token]
		out = append(out, Record{Kind: RecordGrant, Token: token, Instance: l.Instance, Task: l.Task})
		if l.Process != (supervisor.Identity{}) {
			out = append(out, Record{Kind: RecordProcess, Token: token, Process: l.Process, At: l.At})
		}
	}
	for _, token := range sortedKeys(s.Ends) {
		out = append(out, Record{Kind: RecordEnd, End: s.Ends[token]})
	}
	for _, t := range s.Tombstones {
		out = append(out, Record{Kind: RecordTombstone, Token: t.Token, Instance: t.Instance, Task: t.Task})
	}
	return out
}

// Bury turns every live attempt into a result: lost. A new incarnation calls it when all that
// survived is killed, so that a master hears a proven loss instead of guessing from silence,
// which it would have to read as "never began".
func (s *State) Bury(now flow.Time) []Record {
	return s.Adopt(now, nil, flow.ReasonWorkerLost, "the worker process died while it ran this attempt")
}

// Adopt keeps the attempts whose processes a worker proper found under its supervisor, and turns
// every other live one into a result: lost. It returns the records that say so.
func (s *State) Adopt(now flow.Time, found map[int64]Live, cause, reason string) []Record {
	var out []Record
	for _, token := range sortedKeys(s.Live) {
		l := s.Live[token]
		if a, adopted := found[token]; adopted {
			l.Process, l.At, l.Grace = a.Process, a.At, a.Grace
			s.Live[token] = l
			continue
		}
		end := &rpc.Ended{
			Token: token, Instance: l.Instance, Task: l.Task, State: uint32(flow.AttemptLost),
			Cause: cause, Class: string(flow.ClassInfrastructure),
			Reason: reason, StartedAt: int64(l.At), EndedAt: int64(now), Confirmed: true,
		}
		delete(s.Live, token)
		s.Ends[token] = end
		out = append(out, Record{Kind: RecordEnd, End: end})
	}
	return out
}

// keepLast drops the oldest of s beyond n, rarely enough to cost nothing.
func keepLast[T any](s []T, n int) []T {
	if len(s) < 2*n {
		return s
	}
	return slices.Clone(s[len(s)-n:])
}

func sortedKeys[V any](m map[int64]V) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
