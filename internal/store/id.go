// Ids that the store makes, and ids as bounds in time.

package store

import (
	"time"

	"baton/internal/flow"
)

const (
	idEpochMillis = 1735689600000 // as flow.IDSource counts
	idShift       = 22            // bits below the milliseconds
	// storeNode is the node number of ids that the store makes, for alerts; nodes get 0 to 1022.
	storeNode = 1023
	// idSkew is how far an id may be from the time of its row: a source never goes back, also when
	// its clock does.
	idSkew = 10 * time.Minute
)

// firstID is the smallest id of a row made at t.
func firstID(t flow.Time) flow.ID {
	return flow.ID((int64(t)/1000 - idEpochMillis) << idShift)
}

// The token that an id is made of takes the place of a sequence, and of the last milliseconds: twelve bits and seven. So
// ids repeat only when 524,288 tokens are taken within an eighth of a second, and one that is made of many at the same
// moment, as for all who follow one end, is as good as any.
const (
	idSeqBits  = 12
	idLateBits = 7
)

// storeID makes an id in the form of flow.IDSource.
func storeID(at flow.Time, token int64) flow.ID {
	late := flow.ID(token>>idSeqBits) & (1<<idLateBits - 1)
	return firstID(at)>>(idShift+idLateBits)<<(idShift+idLateBits) | late<<idShift | storeNode<<idSeqBits | flow.ID(token&(1<<idSeqBits-1))
}
