// Slots: which of several masters prefers an id.

package flow

// Slot returns which of n slots an id belongs to. Ids made at different milliseconds differ in the
// upper part, those of one millisecond in the sequence, so both count: the id mod n alone would
// give every id of a quiet hour to the same slot of two.
func (id ID) Slot(n int) int {
	if n <= 1 {
		return 0
	}
	return int((int64(id)>>(idNodeBits+idSeqBits) + int64(id)&(1<<idSeqBits-1)) % int64(n))
}

// SlotSQL is Slot of the column id in SQL; %d stands for n, which is at least 1.
const SlotSQL = "((id >> 22) + (id & 4095)) %% %d"
