// Nodes, incarnations and what the masters agree on.

package flow

import (
	"strconv"
	"strings"
	"time"
)

// Node is a running process of a role. A new start is a new incarnation, never the same.
type Node struct {
	Incarnation int64
	Number      int // 0..1023, unique among live nodes: the node part of its ids
	Role        string
	Name        string
	// Home identifies the data folder. Of one home only one process lives (the folder is locked), so
	// a new incarnation of a home proves that the earlier ones are dead.
	Home       string
	PID        int
	Groups     []string
	Slots      int
	Running    int
	Labels     map[string]string
	State      string // ready, busy, draining, suspect, lost
	Version    string // of the program
	Engine     int32  // newest engine version it knows
	StartedAt  Time
	LeaseUntil Time    // by the database's clock
	Address    string  // host:port that other nodes reach it at, "" if none does
	CPU        float64 // 0..1 of all cores
	Memory     float64 // 0..1 of the machine's
	// Hello is the number of the worker's hello that asks for this incarnation: of two of one home the
	// greater was said later. 0: it has none.
	Hello int64
	// Lease is the length that the node itself counts by: its lease is renewed for no less, so that
	// nobody holds it for dead before it does. 0: it did not say.
	Lease time.Duration
	// Waited is how long ago it asked for its lease: that runs from there.
	Waited time.Duration
}

// DrainKey is what a drain of the node is known by: its home, so that it outlives a restart, or its
// name if it has none.
func (n Node) DrainKey() string {
	if n.Home != "" {
		return n.Role + ":" + n.Home
	}
	return n.Role + ":" + n.Name
}

// DrainOf is what a drain of one incarnation alone is known by: of nodes without a home that have one name.
// It ends with the incarnation.
func DrainOf(incarnation int64) string { return "#" + strconv.FormatInt(incarnation, 10) }

// States of a node, as it says of itself; lost is what others say.
const (
	NodeReady    = "ready"
	NodeBusy     = "busy"
	NodeDraining = "draining"
	NodeLost     = "lost"
)

// Roles of a node.
const (
	RoleMaster     = "master"
	RoleWorker     = "worker"
	RoleAPI        = "api"
	RoleStandalone = "standalone"
)

// How long leases may be: a busy node must be able to renew a short one in time, and nobody wants to
// wait for the end of a longer one.
const (
	MinLease = time.Second
	MaxLease = 10 * time.Minute
)

// ParseLease reads the length of leases.
func ParseLease(text string) (time.Duration, error) {
	d, err := ParseDuration(text)
	if _, negative := strings.CutPrefix(text, "-"); negative || err == nil && (d.Std() < MinLease || d.Std() > MaxLease) {
		return 0, Errorf(CodeBadRequest, "lease", "%s is out of range; between %s and %s", text, Duration(MinLease), Duration(MaxLease))
	}
	return d.Std(), err
}

// Lease is what a registered incarnation holds.
type Lease struct {
	Incarnation int64
	Number      int
	Epoch       int64
	Generation  int64 // of the store; another generation is another history
	MaxID       ID    // greatest id in the store: floor of the IDSource
	// Cluster identifies the store, so that two clusters never mix.
	Cluster string
	// Length of the lease, as the cluster has set it.
	Length time.Duration
	// Crashed tells that a master ended lately without leaving: something that waits to be driven may
	// have been the cause.
	Crashed bool
	// Draining are the nodes that take nothing new, by Node.DrainKey or DrainOf, in order.
	Draining []string
	// Dead lists earlier incarnations of the same home: fenced already, to be taken over.
	Dead []int64
}

// Peer is a master as the store knows it, for the other masters.
type Peer struct {
	Incarnation int64
	Name        string
	Address     string // where the others reach it, "" if it never said
	Fenced      bool   // it commits nothing any more
	Stale       bool   // it did not renew its lease in the store, by the store's clock
	Owns        bool   // instances are its own, or may be
}

// Failover is a node that was declared dead, by whom and why, and what became of its work.
type Failover struct {
	Incarnation int64
	Role        string
	Name        string
	Witness     int64 // incarnation that declared it dead
	WitnessName string
	Reason      string
	Instances   int // handed on
	FencedAt    Time
	ReleasedAt  Time // everything was handed on; 0: not yet
}

// Waiting is what a master finds when it looks whether anything came without a poke.
type Waiting struct {
	Commands  bool
	Inbox     bool // items of instances that it holds
	Addressed bool // items of instances that nobody holds
	NextWake  Time // earliest WakeAt of a parked instance, 0 for none
	Queued    bool // a run waits for its turn
	Backfills bool // a backfill goes on
	Pooled    bool // a task waits for slots of its pool
	NextFire  Time // when the first schedule is to be looked at, by the clock of the store, 0 for none
	Now       Time // by the clock of the store
	Followed  bool // some row follows what others do
	Marked    bool // a trigger has heard of an end that nobody has looked at
	Outside   bool // a trigger waits for what happens outside
	// Draining are the nodes that take nothing new, by Node.DrainKey, in order.
	Draining []string
}

// EngineVersion is the version of the rows this program writes. An instance written by a newer
// engine is left alone.
const EngineVersion int32 = 1
