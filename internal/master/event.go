// Events: what the shell, or a simulation, tells the core.

package master

import (
	"time"

	"baton/internal/flow"
	"baton/internal/registry"
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
	// Handed: instances of a dead master were given to this one. Drains: who is to take nothing new has
	// changed.
	Poked struct{ Commands, Inbox, Handed, Drains bool }

	// Viewed says what the registry shows.
	Viewed struct{ View registry.View }
	// Linked says that the link to another master came up, or broke.
	Linked struct {
		Incarnation int64
		Up          bool
	}
	// PeersRead answers ReadPeers.
	PeersRead struct {
		Peers []flow.Peer
		Err   error
	}
	// Probed answers Probe.
	Probed struct {
		Incarnation int64
		Outcome     rpc.Outcome
	}
	// Condemned answers Condemn. Without an error the master is fenced, by whomever.
	Condemned struct {
		Dead int64
		Err  error
	}
	// HandedOut answers HandOut: what I got, and how many the others got.
	HandedOut struct {
		Dead   int64
		Heirs  []int64
		Mine   []flow.ID
		Others int
		Err    error
	}
	// GivenAway answers GiveAway.
	GivenAway struct {
		Heirs []int64
		Err   error
	}
	// Beaten answers Beat. At is when it was sent, and Memory the share in use then; Lost are sessions
	// that are declared lost; leases are as long as the settings say, all that were renewed here included.
	Beaten struct {
		At       flow.Time
		Memory   float64
		Settings flow.Settings
		Sessions []int64
		Lost     []int64
		Err      error
	}
	// SessionEnded answers EndSession. Left is how long the lease is that is not over.
	SessionEnded struct {
		Session int64
		Over    bool
		Left    time.Duration
		Err     error
	}
	// SessionLeft answers LeaveSession.
	SessionLeft struct {
		Conn, Session int64
		Err           error
	}

	// Polled answers Poll.
	Polled struct {
		Waiting flow.Waiting
		Err     error
	}
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
		Dead  int64
		Takes int
		IDs   []flow.ID
		Left  int // the least takes of what is left, -1 for nothing
		Err   error
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

	// GroupsRead answers ReadGroups.
	GroupsRead struct {
		Groups []string // in order
		Err    error
	}
	// DueRead answers ReadDue.
	DueRead struct {
		Due flow.DueTimings
		Err error
	}
	// Fired answers Fire: which decisions were written, by their place.
	Fired struct {
		Firings []flow.Firing
		Written []bool
		Err     error
	}
	// SlotsGiven answers GiveSlots.
	SlotsGiven struct {
		flow.SlotsGiven
		Err error
	}
	// Admitted answers Admit.
	Admitted struct {
		flow.Admitted
		Keys []flow.TurnKey
		Err  error
	}
	// LookedUp answers LookUp.
	LookedUp struct {
		Ask   LookUp
		Found flow.Found
		Err   error
	}
	// BackfillsAdvanced answers AdvanceBackfills.
	BackfillsAdvanced struct {
		flow.Advanced
		Err error
	}
	// MarksRead answers ReadMarks.
	MarksRead struct {
		Standings []flow.TriggerStanding
		Next      flow.ID // there may be more after this one; 0: there are none
		Err       error
	}
	// Triggered answers StartTriggered: which decisions were written, by their place.
	Triggered struct {
		Decisions []flow.TriggerDecision
		Written   []bool
		Err       error
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
		Again bool // the worker had this session before
		Err   error
	}
	// Outrun answers Register: a later hello of the same home was answered, and this is its number.
	Outrun struct {
		Conn  int64
		Hello int64
	}
	// Closed says that a worker's connection is gone.
	Closed struct{ Conn int64 }
	// Unsendable says that a grant could not be made into a frame, such as for a data source or an
	// environment that does not exist.
	Unsendable struct {
		Instance, Task flow.ID
		Token          int64
		Cause          string
		Reason         string
	}
)

func (Started) event()           {}
func (Outrun) event()            {}
func (GroupsRead) event()        {}
func (DueRead) event()           {}
func (Fired) event()             {}
func (Admitted) event()          {}
func (BackfillsAdvanced) event() {}
func (Tick) event()              {}
func (Poked) event()             {}
func (Viewed) event()            {}
func (Linked) event()            {}
func (PeersRead) event()         {}
func (Probed) event()            {}
func (Condemned) event()         {}
func (HandedOut) event()         {}
func (GivenAway) event()         {}
func (Beaten) event()            {}
func (SessionLeft) event()       {}
func (SessionEnded) event()      {}
func (Polled) event()            {}
func (CommandsRead) event()      {}
func (InboxRead) event()         {}
func (Claimed) event()           {}
func (OwnedRead) event()         {}
func (TookOver) event()          {}
func (LoadedRows) event()        {}
func (DefinitionRead) event()    {}
func (Committed) event()         {}
func (Quarantined) event()       {}
func (HandedOver) event()        {}
func (Frame) event()             {}
func (Registered) event()        {}
func (Closed) event()            {}
func (Unsendable) event()        {}
func (LookedUp) event()          {}
func (SlotsGiven) event()        {}
func (MarksRead) event()         {}
func (Triggered) event()         {}
