// What the API needs of the live masters.

package api

import (
	"context"
	"iter"

	"baton/internal/flow"
)

// Masters are the live side of the API. Everything said through it is a hint or a view: what must
// not be lost is in the store before a master hears of it.
type Masters interface {
	// PokeCommands tells that a new command is durable. It never blocks.
	PokeCommands(id flow.ID)
	// PokeInbox tells that a new inbox item is durable. It never blocks.
	PokeInbox()
	// PokeLook has every master look at once at what it would find within a second: who is to take nothing new,
	// which schedules there are. It never blocks.
	PokeLook()
	// Watch tells the committed changes of one instance, of all for 0, until ctx is done; then the
	// channel is closed. It begins with the next commit: subscribe first, read the rows after, and
	// leave out events whose Seq the rows already have. A reader that is too slow loses events
	// and gets one marked Gap in their place: read the rows again.
	Watch(ctx context.Context, instance flow.ID) <-chan Event
	// ReadLog reads the log of one attempt from whoever keeps it. With Follow it goes on until the
	// attempt has ended and all of it was read; without, until the present end. Not found: the
	// attempt has no log. Unavailable: its worker cannot be reached.
	ReadLog(ctx context.Context, r LogRequest) iter.Seq2[LogChunk, error]
}

// Event is one committed change of an instance. Order holds within an instance only: Seq grows by
// one with each of its commits.
type Event struct {
	Instance flow.ID
	Seq      int64
	State    flow.InstanceState
	Reason   string
	At       flow.Time
	Tasks    []TaskChange // rows that changed
	Gap      bool         // events were left out; the other fields mean nothing
}

// TaskChange is a changed row of an Event.
type TaskChange struct {
	ID      flow.ID
	Name    string
	State   flow.TaskState
	Attempt int32
	Reason  string
}

// LogRequest names an attempt by its token and the part of its log that is wanted.
type LogRequest struct {
	Instance flow.ID
	Task     flow.ID
	Token    int64
	Session  int64  // incarnation of the worker session that ran it
	Worker   string // its name, for messages
	Offset   int64  // first byte
	Limit    int64  // most bytes; 0: all
	Follow   bool
}

// LogChunk is a piece of a log: Data begins at byte Offset.
type LogChunk struct {
	Offset int64
	Data   []byte
}
