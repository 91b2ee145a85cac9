// The clock that leases hang on.

package worker

import (
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
)

// bootClock is the wall time of its making, carried on by CLOCK_BOOTTIME: it never goes back, is
// not set by anybody, and goes on while the machine is suspended, unlike Go's monotonic clock.
type bootClock struct{ offset time.Duration }

func newBootClock() bootClock {
	return bootClock{time.Duration(time.Now().UnixNano()) - sinceBoot()}
}

func (c bootClock) now() flow.Time { return flow.Time((c.offset + sinceBoot()) / time.Microsecond) }

func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
