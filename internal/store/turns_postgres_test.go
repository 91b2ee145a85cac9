// Turns on PostgreSQL: one giver at a time.

package store_test

import (
	"fmt"
	"testing"

	"baton/internal/flow"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

// Who gives turns while another does waits for it, and counts what that one gave.
func TestTurnsBehindAnotherGiver(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	db := open(t, dsn)
	w := storetest.NewWorld(t, db)
	key := w.Rated()
	other := connect(t, dsn, "test")
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf("SELECT id FROM workflow WHERE id = %d FOR UPDATE", key.Workflow),
		fmt.Sprintf("INSERT INTO turn (workflow_id, key, given_at, instance_id, expires_at) VALUES (%d, '%s', baton_now(), 1, baton_now())", key.Workflow, key.Key),
	} {
		if _, err := tx.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	given := make(chan flow.Admitted, 1)
	go func() {
		got, err := db.Master().Admit(t.Context(), []flow.TurnKey{key}, flow.TurnKey{})
		if err != nil {
			t.Error(err)
		}
		given <- got
	}()
	waitForLock(t, other, fmt.Sprint("baton/", w.Me))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-given; got.Given > 0 || len(got.Later) != 1 {
		t.Errorf("a second one begins in the same month: %+v", got)
	}
}
