// The store is what its users ask for. The package itself must not know them.

package storetest_test

import (
	"baton/internal/api"
	"baton/internal/lookout"
	"baton/internal/master"
	"baton/internal/store"
)

var (
	_ api.Store     = (*store.DB)(nil)
	_ master.Store  = (*store.Master)(nil)
	_ lookout.Store = (*store.Master)(nil)
)
