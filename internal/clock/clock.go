// Package clock is the clock that leases, timeouts and delays hang on: the wall time of its
// making, carried on by CLOCK_BOOTTIME. It never goes back, nobody sets it, and it goes on while
// the machine is suspended, unlike Go's monotonic clock.
//
// It must not know what the time is for.
package clock

import (
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
)

// Clock tells the time. Safe for concurrent use.
type Clock struct{ offset time.Duration }

// New returns a clock that agrees with the wall now.
func New() Clock { return Clock{time.Duration(time.Now().UnixNano()) - SinceBoot()} }

// Now is the time in microseconds since 1970.
func (c Clock) Now() flow.Time { return flow.Time((c.offset + SinceBoot()) / time.Microsecond) }

// Boot tells a time of this clock as time since the machine booted, which every process of the
// machine understands.
func (c Clock) Boot(t flow.Time) time.Duration { return time.Duration(t)*time.Microsecond - c.offset }

// FromBoot is the time of this clock for a time since boot.
func (c Clock) FromBoot(d time.Duration) flow.Time {
	return flow.Time((c.offset + d) / time.Microsecond)
}

// SinceBoot is the time since the machine booted, suspension included.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
