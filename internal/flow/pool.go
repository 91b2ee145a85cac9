// Pools: limits that tasks of a project share, and who gets slots of them.

package flow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Pool is a limit that tasks of a project share: each takes slots of it while it has an attempt.
type Pool struct {
	Project     string `json:"project"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Slots       int    `json:"slots"`
	Closed      bool   `json:"closed,omitempty"` // nothing is given; who holds goes on
}

// PoolUse is what a task takes of a pool.
type PoolUse struct {
	Name  string `json:"name"`
	Slots int    `json:"slots,omitempty"` // 0 is 1
	// Key is a text with ${…}, rendered when the task is ready: each key has the slots of the pool to itself.
	Key string `json:"key,omitempty"`
}

// Takes is how many slots it takes.
func (u PoolUse) Takes() int { return max(u.Slots, 1) }

// MaxPoolKey bounds the bytes of a key.
const MaxPoolKey = 256

// PoolAgeing is how long a claim waits until it counts as one of the next higher priority: so nothing waits for ever
// behind what comes later, whatever its priority.
const PoolAgeing = 10 * time.Minute

// PoolKey names slots that are given together: those of a pool, or of one key of it.
type PoolKey struct {
	Project ID
	Pool    string
	Key     string
}

// Compare orders keys as the store does.
func (k PoolKey) Compare(o PoolKey) int {
	return cmp.Or(cmp.Compare(k.Project, o.Project), cmp.Compare(k.Pool, o.Pool), cmp.Compare(k.Key, o.Key))
}

// Claim is a task's request for slots of a pool. It is there from when the task asks until its attempt ends or it
// does not want them any more; what the slots of a pool are used for is the sum of the claims that they were given to.
type Claim struct {
	ID       ID // names the request: who asks again makes another
	Instance ID
	Task     ID // the row that asks
	PoolKey
	Slots    int
	Priority Priority
	At       Time // since when it waits
}

// class is the priority by which a claim counts now.
func (c Claim) class(now Time) Priority {
	return Priority(max(int64(c.Priority)-int64(max(now.Sub(c.At), 0)/PoolAgeing), int64(PriorityHighest)))
}

// SortClaims puts those that wait for the same slots in the order in which they get them.
func SortClaims(waiting []Claim, now Time) {
	slices.SortFunc(waiting, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.class(now), b.class(now)), cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
	})
}

// Give decides who of those that wait for the same slots gets some now, when so many are held. They go in order: where
// one does not fit nobody goes past it, else one that needs many would wait for ever behind ones that need few. What
// needs more than there are at all holds up nobody: it waits until a person makes the pool larger.
func (p Pool) Give(held int, waiting []Claim, now Time) []Claim {
	if p.Closed {
		return nil
	}
	waiting = slices.Clone(waiting)
	SortClaims(waiting, now)
	free := p.Slots - held
	var out []Claim
	for _, c := range waiting {
		if c.Slots > p.Slots {
			continue
		}
		if c.Slots > free {
			break
		}
		free -= c.Slots
		out = append(out, c)
	}
	return out
}

// GivenSlots is the payload of an InboxSlots: the slots that a row claimed are its own.
type GivenSlots struct {
	Task  ID `json:"task"`
	Claim ID `json:"claim"`
}

// Item is what the run of a claim finds in its inbox when it gets its slots. It is told once.
func (c Claim) Item(id ID, at Time) InboxItem {
	raw, _ := json.Marshal(GivenSlots{Task: c.Task, Claim: c.ID}) // numbers: it cannot fail
	return InboxItem{ID: id, Instance: c.Instance, Kind: InboxSlots, Dedup: "slots:" + strconv.FormatInt(int64(c.ID), 10), Payload: raw, At: at}
}

// SlotsGiven tells what giving slots came to.
type SlotsGiven struct {
	Runs  []ID      // that were told
	Again []PoolKey // could not be decided about, or there is more to decide
	Next  PoolKey   // of a look at all: there may be more after this one; the zero value: there are none
}

// Named is a key for people: the pool, and which key of it.
func (k PoolKey) Named() string {
	if k.Key == "" {
		return "pool " + k.Pool
	}
	return fmt.Sprintf("pool %s, key %q", k.Pool, k.Key)
}

// CountSlots writes "1 slot", "2 slots".
func CountSlots(n int) string {
	if n == 1 {
		return "1 slot"
	}
	return strconv.Itoa(n) + " slots"
}

// PoolRow is a pool as it is: what verbs said of it goes before its file.
type PoolRow struct {
	ID ID
	Pool
	File      Pool // as its file says it
	SlotsSet  bool // a verb said how many there are
	ClosedSet bool // a verb said whether it is closed
	Used      int  // slots that are held
	Waiting   int  // claims that wait
}

// NamedClaim is a claim with the name of its task.
type NamedClaim struct {
	Claim
	TaskName string
	GivenAt  Time // 0: it waits
	Position int  // among those that wait for the same slots, from 1
}

// PoolStanding is who holds slots of a pool and who waits for some.
type PoolStanding struct {
	PoolRow
	Holders []NamedClaim // longest first
	Waiters []NamedClaim // by key, in order
}

// PoolWait is a claim that waits, and what it waits for.
type PoolWait struct {
	Claim
	Pool    *Pool // as it is; nil: there is none
	Held    int   // slots of its key
	Holders []NamedClaim
	Before  int // claims that go before it
}
