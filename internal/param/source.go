// Where a value comes from, and which source wins.

package param

// Source names where a value comes from. Smaller ones win: start > local >
// output > global > project > builtin.
type Source uint8

// The sources, in the order in which they win.
const (
	FromStart   Source = iota + 1 // given when the run was started
	FromLocal                     // the task's own params, or bound for one attempt
	FromOutput                    // an output of a task upstream
	FromGlobal                    // the workflow's params
	FromProject                   // the project's params
	FromBuiltin                   // system.…, shard.…, map.…
)

var sourceNames = [...]string{"", "start", "local", "output", "global", "project", "builtin"}

// String returns the word that `baton explain` prints.
func (s Source) String() string {
	if int(s) < len(sourceNames) {
		return sourceNames[s]
	}
	return ""
}

// MarshalText makes a Source a word in JSON.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
