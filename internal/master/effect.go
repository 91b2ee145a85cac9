// Effects: what the core wants done. The shell does it and answers with an event where the
// effect's name says so.

package master

import (
	"time"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// Effect is an order of the core to its shell.
type Effect interface{ effect() }

// PlanKey names a compiled version of a workflow.
type PlanKey struct {
	Workflow flow.ID
	Version  int32
}

type (
	// WakeAt asks for a Tick at a time, or earlier; the last one counts.
	WakeAt struct{ At flow.Time }
	// Poll is answered by Polled.
	Poll struct{}
	// ReadCommands is answered by CommandsRead. Of several masters each reads its slot at first, and
	// what is Before is anybody's. On trial are those up to an id that were tried Takes times; the store
	// counts them as tried once more before it answers.
	ReadCommands struct {
		Limit       int
		Except      []flow.ID
		Slot, Slots int
		Before      flow.Time
		Trial       bool
		Takes       int
		UpTo        flow.ID
	}
	// ReadInbox is answered by InboxRead.
	ReadInbox struct {
		Limit  int
		Except []flow.ID
	}
	// Claim is answered by Claimed.
	Claim struct{ Limit int }
	// ReadOwned asks which instances are mine in the store, and is answered by OwnedRead.
	ReadOwned struct {
		After flow.ID
		Limit int
	}
	// TakeOver is answered by TookOver: of what a dead master left, what was taken Takes times without
	// a commit.
	TakeOver struct {
		Dead  int64
		Takes int
		Limit int
	}
	// Load is answered by LoadedRows.
	Load struct{ IDs []flow.ID }
	// ReadDefinition is answered by DefinitionRead.
	ReadDefinition struct{ Key PlanKey }
	// Commit is answered by Committed. One per lane is under way at a time.
	Commit struct {
		Lane  int
		Batch flow.Batch
	}
	// HandOver puts a result for an instance that is not mine into its inbox, and is answered by
	// HandedOver.
	HandOver struct {
		Conn int64
		Item flow.InboxItem
		// Token of the result.
		Token int64
	}
	// Quarantine parks a poisoned instance, and is answered by Quarantined. Command says that it is
	// still a command, Again that it was ordered before and is not known to be durable.
	Quarantine struct {
		ID      flow.ID
		Command bool
		Again   bool
		Reason  string
		Stack   []byte // of a panic, for the log
	}
	// Register gives a worker a session, and is answered by Registered.
	Register struct {
		Conn int64
		Node flow.Node
	}
	// Beat renews my lease, which I count by, and those of sessions that this master keeps, and is answered
	// by Beaten.
	Beat struct {
		State    string
		Lease    time.Duration
		Sessions []flow.Node
		Late     time.Duration // without an answer for so long, it seems that the store is away
	}
	// LookOut tells who looks out for triggers that there may be something to look out for, or not any more.
	LookOut struct{}
	// Announce tells the others what is new of this master.
	Announce struct {
		State string
		Lease time.Duration
		Note  string // for the log, "" for none
	}
	// GiveAway gives instances of mine to its heirs, which are other masters, and is answered by GivenAway.
	GiveAway struct {
		IDs   []flow.ID
		Heirs []int64
		Why   string // for people
	}
	// ReadGroups asks which worker groups live workers serve, and is answered by GroupsRead.
	ReadGroups struct{}
	// ReadDue asks which timings of schedules are due, and is answered by DueRead: those of a slot, and those
	// that nobody has looked at in time.
	ReadDue struct {
		Limit       int
		Slot, Slots int
	}
	// Fire writes decisions about timings, and is answered by Fired.
	Fire struct {
		Firings []flow.Firing
		Stack   []byte // of decisions that panicked, for the log
	}
	// Admit gives turns to runs that wait for them, by all keys by which some do when none is named, some at a time,
	// after one, and is answered by Admitted.
	Admit struct {
		Keys  []flow.TurnKey
		After flow.TurnKey
	}
	// GiveSlots gives slots of pools to those that wait for them, of all that something waits for when none is
	// named, some at a time, after one, and is answered by SlotsGiven.
	GiveSlots struct {
		Keys  []flow.PoolKey
		After flow.PoolKey
	}
	// LookUp asks the store what a run needs to know, and is answered by LookedUp.
	LookUp struct {
		Instance flow.ID
		Question flow.Lookup
	}
	// TellAll tells the other masters that something is in inboxes.
	TellAll struct{}
	// AdvanceBackfills has dates of backfills begin for which there is room, of all that go on, after one, when none is
	// named, and is answered by BackfillsAdvanced. Runs ended or went on again; IDs are for those that begin.
	AdvanceBackfills struct {
		Backfills []flow.ID
		Runs      []flow.ID
		After     flow.ID
		IDs       []flow.ID
	}
	// ReadMarks asks what triggers have heard, those of which something is new when none is named, some at a time, after
	// one, and is answered by MarksRead.
	ReadMarks struct {
		Triggers []flow.ID
		After    flow.ID
	}
	// StartTriggered writes decisions about what triggers have heard, and is answered by Triggered.
	StartTriggered struct{ Decisions []flow.TriggerDecision }
	// ReadPeers asks the store for the other masters, and is answered by PeersRead.
	ReadPeers struct{}
	// Probe asks the address of a master who is there, and is answered by Probed.
	Probe struct {
		Incarnation int64
		Address     string
	}
	// Condemn declares a master dead, and is answered by Condemned.
	Condemn struct {
		Dead int64
		Name string
		Why  string
	}
	// HandOut gives what a dead master owned to its heirs, me among them, and is answered by HandedOut.
	HandOut struct {
		Dead  int64
		Heirs []int64
		Limit int
	}
	// Tell tells a master that it was handed instances.
	Tell struct{ Incarnation int64 }
	// EndSession declares a worker's session lost if its lease is over and the store hears of it within
	// that time, and is answered by SessionEnded.
	EndSession struct {
		Session int64
		Worker  string // its name
		Why     string
		Within  time.Duration
	}
	// LeaveSession ends a worker's session as its worker asks, and is answered by SessionLeft.
	LeaveSession struct{ Conn, Session int64 }
	// Send sends a frame to a worker.
	Send struct {
		Conn  int64
		Frame *rpc.FromMaster
	}
	// HangUp ends the connection of a worker, After what was sent before if that goes out soon.
	HangUp struct {
		Conn  int64
		After bool
	}
	// Grant sends one attempt to a worker; the shell adds the data source, and what the environment says.
	Grant struct {
		Conn  int64
		Order engine.Order
		Epoch int64 // of my ownership of the instance
	}
	// Publish tells watchers what was committed.
	Publish struct{ Change flow.Change }
	// Stop ends the master: it was fenced.
	Stop struct{ Err error }
)

func (WakeAt) effect()           {}
func (Poll) effect()             {}
func (ReadCommands) effect()     {}
func (ReadInbox) effect()        {}
func (Claim) effect()            {}
func (ReadOwned) effect()        {}
func (TakeOver) effect()         {}
func (Load) effect()             {}
func (ReadDefinition) effect()   {}
func (Commit) effect()           {}
func (HandOver) effect()         {}
func (Quarantine) effect()       {}
func (Register) effect()         {}
func (Beat) effect()             {}
func (LookOut) effect()          {}
func (Announce) effect()         {}
func (GiveAway) effect()         {}
func (ReadGroups) effect()       {}
func (ReadDue) effect()          {}
func (Fire) effect()             {}
func (Admit) effect()            {}
func (AdvanceBackfills) effect() {}
func (ReadPeers) effect()        {}
func (Probe) effect()            {}
func (Condemn) effect()          {}
func (HandOut) effect()          {}
func (Tell) effect()             {}
func (EndSession) effect()       {}
func (LeaveSession) effect()     {}
func (Send) effect()             {}
func (HangUp) effect()           {}
func (Grant) effect()            {}
func (Publish) effect()          {}
func (Stop) effect()             {}
func (LookUp) effect()           {}
func (TellAll) effect()          {}
func (GiveSlots) effect()        {}
func (ReadMarks) effect()        {}
func (StartTriggered) effect()   {}
