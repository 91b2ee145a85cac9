// Slots: which of several masters prefers a command.

package assign

import "baton/internal/flow"

// Slot returns which of n slots an id belongs to. Ids made at different milliseconds differ in the
// upper part, those of one millisecond in the sequence, so both count: id mod n alone would give
// every id of a quiet hour to the same slot of two.
//
// SlotSQL is the same in SQL.
func Slot(id flow.ID, n int) int {
	if n <= 1 {
		return 0
	}
	return int((int64(id)>>22 + int64(id)&4095) % int64(n))
}

// SlotSQL is Slot of the column id; ? stands for n, which is at least 1.
const SlotSQL = "((id >> 22) + (id & 4095)) % ?"
