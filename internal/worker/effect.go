// What Core wants done: its effects.

package worker

import (
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// Effect is one thing the shell has to do, in the order given.
type Effect interface{ effect() }

// Persist appends records to the journal and answers Persisted. Persists are carried out in
// order; several may share one write. Sync: they must also survive a loss of power before the
// answer. Without it they need only survive the death of this process, which a write does.
type Persist struct {
	ID      uint64
	Records []Record
	Sync    bool
	// Whole: Records are all that is still needed; what was appended before may go.
	Whole bool
}

// Start begins an attempt. The shell answers Finished, and Began for a Process.
type Start struct {
	Grant *rpc.Grant
	Kind  Kind
}

// KillAttempt ends a started attempt: at once for a Function, SIGTERM and after Grace SIGKILL for
// a process. Finished follows when nothing of it is left.
type KillAttempt struct {
	Token int64
	Grace time.Duration
}

// Send sends a frame. It may be lost with its stream, never reordered.
type Send struct {
	Stream StreamID
	Frame  *rpc.FromWorker
}

// Close ends a stream; StreamDown follows, and the shell dials again.
type Close struct {
	Stream StreamID
	Reason string
	// Foreign: it leads to another cluster, and dialling it again soon is of no use.
	Foreign bool
}

// Guard tells what the supervisor has to guard beside Core: if it hears of no later renewal within
// three quarters of the lease, it kills every attempt. Length 0: no session is held. Over: Core has
// given the session up and kills its attempts.
type Guard struct {
	Length              time.Duration
	RenewedAt, OutageAt flow.Time
	Over                bool
}

// Wake asks for a Tick at a time. A later Wake replaces it; 0 is none.
type Wake struct{ At flow.Time }

// Measure asks for Measured.
type Measure struct{}

// Note is worth a line in the worker's own log.
type Note struct {
	Text  string
	Token int64
	Count int
	Err   error
}

// Stopped says that everything is over after a Stop: nothing runs, and no result waits that a
// master could still be told.
type Stopped struct{}

func (Persist) effect()     {}
func (Start) effect()       {}
func (KillAttempt) effect() {}
func (Send) effect()        {}
func (Close) effect()       {}
func (Guard) effect()       {}
func (Wake) effect()        {}
func (Measure) effect()     {}
func (Note) effect()        {}
func (Stopped) effect()     {}

// Kind tells how a task type runs.
type Kind uint8

// Kinds. A type the worker does not know is refused.
const (
	KindUnknown  Kind = 0
	KindProcess  Kind = 1
	KindFunction Kind = 2
)
