// Slots on PostgreSQL: one giver at a time.

package store_test

import (
	"fmt"
	"testing"

	"baton/internal/flow"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

// Who gives slots while another does waits for it, and counts what that one gave.
func TestSlotsBehindAnotherGiver(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	db := open(t, dsn)
	w := storetest.NewWorld(t, db)
	first := w.Claims(2)[0].Claims[0]
	other := connect(t, dsn, "test")
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"SELECT slots FROM pool WHERE name = 'dw' FOR UPDATE", fmt.Sprintf("UPDATE pool_claim SET given_at = 1 WHERE id = %d", first.ID)} {
		if _, err := tx.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	given := make(chan flow.SlotsGiven, 1)
	go func() {
		got, err := db.Master().GiveSlots(t.Context(), []flow.PoolKey{first.PoolKey}, flow.PoolKey{})
		if err != nil {
			t.Error(err)
		}
		given <- got
	}()
	waitForLock(t, other, fmt.Sprint("baton/", w.Me))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-given; len(got.Runs) > 0 {
		t.Errorf("a second one has the only slot: %v", got.Runs)
	}
}

// A run gives its claims back while they are given their slots: they are gone when both have ended.
func TestUnclaimBehindAGiver(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.New(t)
			db := open(t, dsn)
			w := storetest.NewWorld(t, db)
			var ups []flow.Change
			for _, ch := range w.Claims(n) {
				up := storetest.Next(ch.Instance)
				up.Unclaims = ch.Claims
				ups = append(ups, up)
			}
			other := connect(t, dsn, "giver")
			tx, err := other.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "UPDATE pool_claim SET given_at = 1"); err != nil {
				t.Fatal(err)
			}
			committed := make(chan error, 1)
			go func() {
				results, err := w.Commit(ups...)
				for _, r := range results {
					if r.Fate != flow.Committed {
						t.Errorf("%+v", r)
					}
				}
				committed <- err
			}()
			waitForLock(t, connect(t, dsn, "test"), fmt.Sprint("baton/", w.Me))
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-committed; err != nil {
				t.Fatal(err)
			}
			if p, err := db.Pool(t.Context(), "p", "dw", 10); err != nil || p.Used+p.Waiting != 0 {
				t.Errorf("%d used, %d waiting, %v: it was given back", p.Used, p.Waiting, err)
			}
		})
	}
}
