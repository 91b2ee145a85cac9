// The store is what its two users ask for. The package itself must not know them.

package storetest_test

import (
	"baton/internal/api"
	"baton/internal/master"
	"baton/internal/store"
)

var (
	_ api.Store    = (*store.DB)(nil)
	_ master.Store = (*store.Master)(nil)
)
