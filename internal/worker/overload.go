// Overload: a worker whose machine is full takes nothing new until that is over, and neither does one
// that cannot begin anything: attempts that fail at once would make it the emptiest of all, and every
// retry would come back to it. It says so with its beats; what it has runs on.

package worker

import (
	"fmt"
	"strings"
	"time"

	"baton/internal/flow"
)

// Limits are where the machine counts as full. Zero values are none.
type Limits struct {
	CPU    float64 // share of all cores; 1 or more: none
	Memory float64 // share; 1 or more: none
	Disk   int64   // bytes that are to stay free on the disk of the data folder; 0 or less: none
}

const (
	// calmer is how far below its limit a share must fall before work is taken again, so that the one
	// task that was left out does not tip it over at once.
	calmer = 0.05
	// calmerDisk is how much more than its limit must be free before work is taken again.
	calmerDisk = 1.25
	// unableAfter is how many attempts in a row this host could not begin before it takes no more.
	unableAfter = 3
	// unableFor is how long: then one more is tried.
	unableFor = 30 * time.Second
)

// overload is whether nothing new is taken, and why.
type overload struct {
	limits            Limits
	cpu, memory, disk bool
	failed            int       // attempts in a row that this host could not begin
	cause             string    // of the last of them
	until             flow.Time // nothing is taken before, after too many of them
	text              string    // "": it is not
}

// tried judges how an attempt began. It tells whether that changes what is taken.
func (o *overload) tried(began bool, cause string, now flow.Time) bool {
	if began {
		o.failed = 0
		return false
	}
	o.failed++
	o.cause = cause
	if o.failed < unableAfter || o.until > now {
		return false
	}
	o.until = now.Add(unableFor)
	return true
}

// measured judges new figures.
func (o *overload) measured(m Measured, now flow.Time) {
	o.cpu = tooMuch(o.cpu, m.CPU, o.limits.CPU)
	o.memory = tooMuch(o.memory, m.Memory, o.limits.Memory)
	switch least := float64(o.limits.Disk); {
	case o.limits.Disk <= 0 || m.Free < 0:
		o.disk = false
	case o.disk:
		o.disk = float64(m.Free) < least*calmerDisk
	default:
		o.disk = float64(m.Free) < least
	}
	var why []string
	if o.cpu {
		why = append(why, fmt.Sprintf("CPU %.0f %% (limit %.0f %%)", 100*m.CPU, 100*o.limits.CPU))
	}
	if o.memory {
		why = append(why, fmt.Sprintf("memory %.0f %% (limit %.0f %%)", 100*m.Memory, 100*o.limits.Memory))
	}
	if o.disk {
		why = append(why, fmt.Sprintf("%d MiB free on the disk of its data folder (at least %d MiB)", m.Free>>20, o.limits.Disk>>20))
	}
	if o.until > now {
		why = append(why, fmt.Sprintf("it could not begin the last %d tasks: %s", o.failed, o.cause))
	}
	o.text = strings.Join(why, ", ")
}

func tooMuch(was bool, share, limit float64) bool {
	switch {
	case limit <= 0 || limit >= 1:
		return false
	case was:
		return share > limit-calmer
	default:
		return share >= limit
	}
}
