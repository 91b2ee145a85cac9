// Which process is meant, for longer than its number lasts.

package supervisor

// Identity names a process for ever: its number and the moment it began, in clock ticks since
// boot. Numbers are used again, the pair is not, until the machine boots anew.
type Identity struct {
	PID   int
	Start uint64
}
