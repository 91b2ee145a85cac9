package store_test

import (
	"testing"
	"time"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

// Ids that the store makes at one moment are as many as there are tokens, and near to it in time.
func TestStoreIDs(t *testing.T) {
	t.Parallel()
	seen := map[flow.ID]bool{}
	for token := range int64(500_000) {
		id := store.StoreID(storetest.Now, 1<<40+token)
		if seen[id] {
			t.Fatalf("token %d gives %d, which was given", token, id)
		}
		seen[id] = true
		if early, late := store.FirstID(storetest.Now.Add(-128*time.Millisecond)), store.FirstID(storetest.Now.Add(128*time.Millisecond)); id <= early || id >= late {
			t.Fatalf("token %d gives %d, far from the moment", token, id)
		}
	}
}
