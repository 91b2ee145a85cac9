// Overload: a worker whose machine is full takes nothing new until that is over. It says so with its
// beats; what it has runs on.

package worker

import (
	"fmt"
	"strings"
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
)

// overload is whether the machine is full, and why.
type overload struct {
	limits            Limits
	cpu, memory, disk bool
	text              string // "": it is not
}

// measured judges new figures.
func (o *overload) measured(m Measured) {
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
