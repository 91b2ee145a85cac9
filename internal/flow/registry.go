// What a store is asked for as a registry.

package flow

import "errors"

// ErrNoChannel is what a store says that cannot tell of changes: who wants to know reads again.
var ErrNoChannel = errors.New("the store has no way to tell of changes")

// NodeChange is what was told of the live nodes. It saves reading them; when both are none,
// something has changed that takes reading.
type NodeChange struct {
	At   Time    // by the clock of the database
	Node *Node   // announced, as it is now
	Gone []int64 // withdrawn incarnations
}
