// What a store is asked for as a registry.

package flow

import "errors"

// ErrNoChannel is what a store says that cannot tell of changes: who wants to know reads again.
var ErrNoChannel = errors.New("the store has no way to tell of changes")
