// Ledger: what the tasks themselves saw, outside of Baton.

package sim

import "baton/internal/flow"

// Entry is one line a task wrote.
type Entry struct {
	At       flow.Time
	Instance int64
	Task     string
	Row      int64
	Token    int64
	What     string // begin, succeed, fail, killed
}

// Ledger is all lines in order.
type Ledger struct {
	entries []Entry
	zombies map[int64]bool // tokens of tasks on a host that was frozen past its lease
}

func newLedger() *Ledger { return &Ledger{zombies: map[int64]bool{}} }

func (l *Ledger) write(e Entry) { l.entries = append(l.entries, e) }
