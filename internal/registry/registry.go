// The contract of a registry.

package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"baton/internal/flow"
)

// Member is what a node tells the others of itself.
type Member struct {
	Incarnation int64  `json:"incarnation"` // as the store gave it; unique for ever
	Role        string `json:"role"`        // flow.RoleMaster, …
	Name        string `json:"name"`
	Address     string `json:"address,omitempty"` // host:port that others reach it at, "" if nobody does
	Version     string `json:"version,omitempty"` // of the program
	Engine      int32  `json:"engine,omitempty"`  // newest engine version it knows
	State       string `json:"state"`             // ready, busy, draining
	// Cluster is the identity of the store, so that two clusters never mix; "" where a registry belongs to
	// one store anyway.
	Cluster string `json:"cluster,omitempty"`
	Load    Load   `json:"load"`
}

// Load is how busy a node is. It rides along with the renewals of the lease and is as old as the
// last of them.
type Load struct {
	CPU    float64 `json:"cpu"`    // 0..1 of all cores
	Memory float64 `json:"memory"` // 0..1 of the machine's
	Slots  int     `json:"slots,omitempty"`
	Used   int     `json:"used,omitempty"`
}

// View is everybody a client of the registry sees at a moment.
type View struct {
	// Members by incarnation. While the registry is out of reach they are those seen last.
	Members []Member
	// Since when this client has seen the registry without a gap, by its own boot clock; 0 while it
	// is out of reach. Only who has seen it for a whole lease may conclude from a missing member
	// that the member is dead: after an outage everybody is missing for a while.
	Since flow.Time
}

// Find returns the member with an incarnation.
func (v View) Find(incarnation int64) (Member, bool) {
	i, found := slices.BinarySearchFunc(v.Members, incarnation, func(m Member, id int64) int {
		switch {
		case m.Incarnation < id:
			return -1
		case m.Incarnation > id:
			return 1
		}
		return 0
	})
	if !found {
		return Member{}, false
	}
	return v.Members[i], true
}

// OfRole returns the members that drive runs when role is flow.RoleMaster (a standalone process is
// a master too), else those of the role, by incarnation.
func (v View) OfRole(role string) []Member {
	var out []Member
	for _, m := range v.Members {
		if m.Role == role || role == flow.RoleMaster && m.Role == flow.RoleStandalone {
			out = append(out, m)
		}
	}
	return out
}

// Registry is a client of a registry. Safe for concurrent use. No method returns an error because
// the registry is out of reach for a while, except those that say so.
type Registry interface {
	// Announce makes a member visible to all, under a lease of the given length that is renewed at
	// least every third of it. It returns when the member is visible, or with an error when that
	// did not come about before ctx was done or when it never can (credentials, a malformed
	// address). The member stays announced after ctx is done, until Withdraw or Close; a session that
	// was lost is replaced by a new one as soon as the registry is back.
	Announce(ctx context.Context, m Member, lease time.Duration) (Presence, error)

	// Watch sends what can be seen, first of all the present view, then one after every change of
	// it, until ctx is done; then the channel is closed. Every view is whole: a watch that was lost
	// reads everything anew. A slow reader misses views between, never the newest. A view comes too
	// when the registry gets out of reach (Since 0) and when it is back.
	Watch(ctx context.Context) <-chan View

	// Acquire takes the lease on a name for holder (an incarnation), and waits for it as long as
	// another has it. It returns ctx's error when ctx is done first. A lease is given to one at a time; the registry takes
	// it back by itself when its holder has not renewed it for the given length.
	Acquire(ctx context.Context, name string, holder int64, lease time.Duration) (Lease, error)

	// Close withdraws everything of this client.
	Close() error
}

// Presence is an announced member.
type Presence interface {
	// Update changes what the others see, with the next renewal at the latest; a changed State is
	// told at once. Incarnation and Role do not change. It never blocks.
	Update(m Member)
	// Until is when the lease would end if it were never renewed again, by the boot clock of this
	// process, counted from when the last renewal that was answered was *sent*: this side is never
	// more hopeful than the registry. In the past: the others may hold the member for dead.
	Until() flow.Time
	// Withdraw makes the member vanish at once. When the registry is out of reach it returns an
	// error, and the lease ends the announcement.
	Withdraw(ctx context.Context) error
}

// Lease is a name held exclusively.
type Lease interface {
	// Fence is a number that grows with every new holder of the name, so that what the lease guards
	// can refuse a holder that does not know yet that it lost it.
	Fence() int64
	// Lost is closed when the lease is over or may be: the registry says so, or it could not be
	// renewed in time by this process's own boot clock.
	Lost() <-chan struct{}
	// Release gives it back. When the registry is out of reach it returns an error, and the lease
	// ends by itself.
	Release(ctx context.Context) error
}

// ErrClosed is returned by methods of a client that was closed.
var ErrClosed = errors.New("the registry client is closed")
