// What a master needs of the store.

package master

import (
	"context"
	"time"

	"baton/internal/flow"
)

// Store is the durable side of a master. Implementations are safe for concurrent use; every
// method is one statement or one short transaction, so that no lock is held while this process
// is waited for. An error means that the outcome is unknown: the caller forgets what it touched
// and loads it again.
type Store interface {
	// Register makes a new incarnation with a lease of the cluster's length, and fences every
	// earlier incarnation of the same home. Name, Home, Role, PID, Groups, Slots, Labels, Version
	// and Engine are read from node.
	Register(ctx context.Context, node flow.Node) (flow.Lease, error)
	// Heartbeat renews the leases of nodes and writes their load figures, in one statement. It returns
	// those that are dead for the others and must stop, and the settings as they are now: no lease was
	// renewed for less than the length in them, nor for less than its node counts by.
	Heartbeat(ctx context.Context, nodes []flow.Node) (flow.Renewal, error)
	// Leave ends an incarnation of a master or a worker: its lease is over at once, and nobody lost it.
	Leave(ctx context.Context, incarnation int64) error
	// Peers returns the other masters that are not done with: those that may commit, and dead ones
	// whose work is not all handed on.
	Peers(ctx context.Context, me int64) ([]flow.Peer, error)
	// Condemn raises the epoch of a dead incarnation, so that it commits nothing any more, records who
	// did it and why, and tells whether this call did it.
	Condemn(ctx context.Context, dead, witness int64, why string) (bool, error)
	// HandOut gives up to n instances of a fenced incarnation that were not taken without a commit to
	// its heirs. It returns those of me, and how many the others got. It is called until nobody gets any.
	HandOut(ctx context.Context, me, dead int64, heirs []int64, n int) (mine []flow.ID, others int, err error)
	// GiveAway gives instances of me to its heirs, which are other masters, and returns how many.
	GiveAway(ctx context.Context, me int64, ids []flow.ID, heirs []int64) (int, error)
	// ServedGroups returns the worker groups of workers that live and are not drained, in order.
	ServedGroups(ctx context.Context) ([]string, error)
	// EndSession declares a worker's session lost if its lease is over by the clock of the store, and
	// tells whether it is, whoever declared it. When it comes to the store later than within it does nothing.
	EndSession(ctx context.Context, session, witness int64, why string, within time.Duration) (over bool, left time.Duration, err error)
	// TakeOver hands up to n instances of a fenced incarnation to owner, of those that were taken
	// takes times without a commit, raises that counter and returns their ids. left is the least takes
	// of what the dead one still holds, -1 for nothing. An instance with flow.MaxTakes is not handed
	// over but, when nothing else is left, quarantined, with an alert.
	TakeOver(ctx context.Context, owner, dead int64, now flow.Time, takes, n int) (ids []flow.ID, left int, err error)

	// Waiting tells in one statement whether anything is there to be read or claimed.
	Waiting(ctx context.Context, owner int64) (flow.Waiting, error)
	// Commands returns up to n commands by priority, then age, without those in except and without
	// quarantined ones: those of a turn.
	Commands(ctx context.Context, n int, except []flow.ID, turn flow.Turn) ([]flow.Command, error)
	// TryCommands returns up to n commands, in the same order, of those up to an id that were tried
	// takes times, and counts each as tried once more before it returns; what it returns says how
	// often before. What another living master tries is left to it, and what owner tried itself, or one that
	// lives, counts no more for that.
	TryCommands(ctx context.Context, owner int64, takes int, upTo flow.ID, n int, except []flow.ID) ([]flow.Command, error)
	// Claim makes owner the owner of up to n parked instances that are due: WakeAt has come, or an
	// inbox item waits. It raises Seq and the takes counter, and returns their ids.
	Claim(ctx context.Context, owner int64, now flow.Time, n int) ([]flow.ID, error)
	// Owned returns up to n ids above after, in order, of the instances that owner holds.
	Owned(ctx context.Context, owner int64, after flow.ID, n int) ([]flow.ID, error)
	// NextWake returns the earliest WakeAt of a parked instance, 0 for none.
	NextWake(ctx context.Context) (flow.Time, error)
	// Load reads instances with all their task rows in order of creation, those that owner holds.
	// Others are left out.
	Load(ctx context.Context, owner int64, ids []flow.ID) ([]flow.Loaded, error)
	// Inbox returns up to n items of instances that owner holds, in order of id, without those in
	// except.
	Inbox(ctx context.Context, owner int64, n int, except []flow.ID) ([]flow.InboxItem, error)
	// Definition reads one version of a workflow with what a run needs of its project.
	Definition(ctx context.Context, workflow flow.ID, version int32) (flow.Definition, error)
	// Commit writes a batch: all or, change by change, nothing. ErrFenced: nothing was written and
	// nothing ever will be for this incarnation.
	Commit(ctx context.Context, batch flow.Batch) (flow.CommitResult, error)
	// Quarantine parks an instance with a reason, whatever its rows hold. The state before is kept
	// for release. It needs the owner's gate, as Commit does.
	Quarantine(ctx context.Context, owner int64, id flow.ID, reason string, now flow.Time) error
	// QuarantineCommand turns a command that cannot be carried out into a quarantined instance.
	QuarantineCommand(ctx context.Context, id flow.ID, reason string, now flow.Time) error

	// Due returns up to n timings of schedules that are to be looked at by the clock of the store: those of a
	// slot, and those that nobody has looked at in time.
	Due(ctx context.Context, n, slot, slots int) (flow.DueTimings, error)
	// Fire writes decisions about timings, each only if nobody has decided about it meanwhile, with the fires
	// and the commands, and returns which were written, by their place. A fenced owner writes none.
	Fire(ctx context.Context, owner int64, firings []flow.Firing) ([]bool, error)

	// Admit gives turns to runs that wait for each other, by workflow and key: items in inboxes, each given once. With
	// no key named, those are looked at by which some run waits, some at a time, after one.
	Admit(ctx context.Context, keys []flow.TurnKey, after flow.TurnKey) (flow.Admitted, error)

	// GiveSlots gives slots of pools that are free to those that wait for them, in order: an item in the inbox of each
	// run, once for each claim. With no key named, those are looked at that something waits for, some at a time, after
	// one, and what holds slots without an attempt any more is found.
	GiveSlots(ctx context.Context, keys []flow.PoolKey, after flow.PoolKey) (flow.SlotsGiven, error)

	// Lookup answers the question of a run.
	Lookup(ctx context.Context, q flow.Lookup) (flow.Found, error)
	// AdvanceBackfills has dates of backfills begin for which there is room, and ends those that are through: of all
	// that go on when none is named, some at a time, after one. Of runs it is known that they ended or went on
	// again; ids are for the runs that begin. A fenced owner begins none.
	AdvanceBackfills(ctx context.Context, owner int64, backfills, runs []flow.ID, after flow.ID, ids []flow.ID, now flow.Time) (flow.Advanced, error)

	// Marks reads triggers with the ends that they have heard of, of each source the oldest. With none named, those are
	// read that heard something which nobody has looked at, some at a time, after one; next is where there may be more.
	Marks(ctx context.Context, triggers []flow.ID, after flow.ID) (standings []flow.TriggerStanding, next flow.ID, err error)
	// StartTriggered writes decisions about what triggers have heard, each with its records and commands if nobody has
	// decided meanwhile, and returns which were written, by their place. A fenced owner writes none.
	StartTriggered(ctx context.Context, owner int64, decisions []flow.TriggerDecision) ([]bool, error)

	// Order inserts an inbox item; one with the same Dedup is returned instead. Not found: there is
	// no such instance.
	Order(ctx context.Context, item flow.InboxItem) (flow.ID, error)
	// Blob reads a resource by its SHA-256 (hex).
	Blob(ctx context.Context, sum string) ([]byte, error)
	// DataSources lists the data sources of a project.
	DataSources(ctx context.Context, project string) ([]flow.DataSource, error)
	// Environment reads the newest version of an environment. Not found: the error says which name was perhaps meant.
	Environment(ctx context.Context, name string) (flow.Environment, error)
}
