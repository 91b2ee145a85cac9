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

// storeID makes an id as flow.IDSource does; the token takes the place of its sequence.
func storeID(at flow.Time, token int64) flow.ID {
	return firstID(at) | storeNode<<12 | flow.ID(token&4095)
}
