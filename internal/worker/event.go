// What may happen to a worker: the events of Core.

package worker

import (
	"time"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker/supervisor"
)

// StreamID names one connection to one master. A new connection has a greater id.
type StreamID int64

// Event is one thing that happened.
type Event interface{ event() }

// StreamUp tells that a stream was opened; nothing was said on it yet.
type StreamUp struct{ Stream StreamID }

// StreamDown tells that a stream is gone. Nothing comes from it any more.
type StreamDown struct{ Stream StreamID }

// Frame is one frame from a master. The shell serves ReadLogs and Blobs itself.
type Frame struct {
	Stream StreamID
	Frame  *rpc.FromMaster
}

// Persisted answers Persist effects up to ID, in order. Err: nothing of them is on disk.
type Persisted struct {
	ID  uint64
	Err error
}

// Began tells that the process of an attempt runs. Functions begin with their Start effect.
type Began struct {
	Token   int64
	At      flow.Time
	Process supervisor.Identity
	// Journaled: the supervisor has noted it already.
	Journaled bool
}

// Finished tells that an attempt is over and nothing of it is left. It comes exactly once per
// Start, whatever happened.
type Finished struct {
	Token int64
	End   End
}

// End is how an attempt ended, as its runner saw it.
type End struct {
	State     flow.AttemptState // succeeded, failed, killed
	ExitCode  int32             // flow.NoExit: none
	Cause     string
	Class     flow.Class
	Reason    string
	Outputs   []byte
	StartedAt flow.Time // 0: it never began
	EndedAt   flow.Time
	Confirmed bool // nothing of it is left; a Function that does not return is not confirmed
	Matched   []string
	CPU       time.Duration // used by it and all that came of it
	Memory    int64         // bytes at most; 0: not known, as is CPU then
	Unable    bool          // this host could not begin it: no folder, no process; it can hardly begin any
}

// Tick answers a Wake whose time has come.
type Tick struct{}

// Measured answers a Measure.
type Measured struct {
	CPU    float64 // 0..1 of all cores
	Memory float64 // 0..1 used
	Free   int64   // bytes on the disk of the data folder, -1: not known
	Live   []int64 // tokens with a sign of life since the last Measured, ascending
}

// Unseen tells how many masters there are that no stream leads to, without those whose host says
// that their process is gone.
type Unseen struct{ Masters int }

// Drain orders the worker to take nothing new, and to end when what it has has ended.
type Drain struct{}

// Stop orders the worker to end: nothing new is taken and everything is killed.
type Stop struct{}

func (StreamUp) event()   {}
func (StreamDown) event() {}
func (Frame) event()      {}
func (Persisted) event()  {}
func (Began) event()      {}
func (Finished) event()   {}
func (Tick) event()       {}
func (Measured) event()   {}
func (Unseen) event()     {}
func (Drain) event()      {}
func (Stop) event()       {}
