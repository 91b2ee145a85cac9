// Events: what the shell, or a simulation, tells the core.

package master

import (
	"baton/internal/flow"
	"baton/internal/rpc"
)

// Event is something that happened outside the core.
type Event interface{ event() }

type (
	// Started is the first event: this incarnation is registered.
	Started struct{ Lease flow.Lease }
	// Tick says that the time asked for by WakeAt has come.
	Tick struct{}
	// Poked says that something new is durable among the commands or in the inbox.
	Poked struct{ Commands, Inbox bool }
	// Fenced says that a dead master is fenced: what it owned may be taken over.
	Fenced struct{ Dead int64 }

	// CommandsRead answers ReadCommands.
	CommandsRead struct {
		Commands []flow.Command
		Err      error
	}
	// InboxRead answers ReadInbox.
	InboxRead struct {
		Items []flow.InboxItem
		Err   error
	}
	// Claimed answers Claim.
	Claimed struct {
		IDs  []flow.ID
		Next flow.Time // earliest wake of what is still parked
		Err  error
	}
	// OwnedRead answers ReadOwned.
	OwnedRead struct {
		IDs []flow.ID
		Err error
	}
	// TookOver answers TakeOver.
	TookOver struct {
		Dead int64
		IDs  []flow.ID
		Err  error
	}
	// LoadedRows answers Load; instances that are not mine any more are left out.
	LoadedRows struct {
		Asked  []flow.ID
		Loaded []flow.Loaded
		Err    error
	}
	// DefinitionRead answers ReadDefinition.
	DefinitionRead struct {
		Key        PlanKey
		Definition flow.Definition
		Err        error
	}
	// Committed answers Commit.
	Committed struct {
		Lane   int
		Result flow.CommitResult
		Err    error
	}
	// Quarantined answers Quarantine.
	Quarantined struct {
		ID  flow.ID
		Err error
	}
	// HandedOver answers HandOver: the result is durable in the inbox.
	HandedOver struct {
		Conn  int64
		Token int64
		Err   error
	}

	// Frame is a frame of a worker. Logs and blobs are the shell's own.
	Frame struct {
		Conn int64
		*rpc.FromWorker
	}
	// Registered answers Register.
	Registered struct {
		Conn  int64
		Lease flow.Lease
		Err   error
	}
	// Closed says that a worker's connection is gone.
	Closed struct{ Conn int64 }
	// Unsendable says that a grant could not be made into a frame, such as for a data source that
	// does not exist.
	Unsendable struct {
		Instance, Task flow.ID
		Token          int64
		Reason         string
	}
)

func (Started) event()        {}
func (Tick) event()           {}
func (Poked) event()          {}
func (Fenced) event()         {}
func (CommandsRead) event()   {}
func (InboxRead) event()      {}
func (Claimed) event()        {}
func (OwnedRead) event()      {}
func (TookOver) event()       {}
func (LoadedRows) event()     {}
func (DefinitionRead) event() {}
func (Committed) event()      {}
func (Quarantined) event()    {}
func (HandedOver) event()     {}
func (Frame) event()          {}
func (Registered) event()     {}
func (Closed) event()         {}
func (Unsendable) event()     {}
