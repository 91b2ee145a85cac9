package store_test

import (
	"fmt"
	"testing"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

// What comes to a dead master after all it owned was handed on, by a statement that was under way, is
// handed on too.
func TestWhatComesLateToTheDead(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]storetest.Open{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			w := storetest.NewWorld(t, db)
			first, late := w.Run(1).Instance.ID, w.Run(1).Instance.ID
			heir := storetest.Join(t, db, "heir")
			m := db.Master()
			if _, err := m.Condemn(t.Context(), w.Me, heir.Me, "dead"); err != nil {
				t.Fatal(err)
			}
			takeAll(t, m, heir.Me, w.Me, first, late)
			if peers, err := m.Peers(t.Context(), heir.Me); err != nil || len(peers) != 0 {
				t.Fatal(peers, err)
			}
			if err := db.WriterExec(t.Context(), fmt.Sprintf("UPDATE instance SET owner = %d WHERE id = %d", w.Me, late)); err != nil {
				t.Fatal(err)
			}
			peers, err := m.Peers(t.Context(), heir.Me)
			if err != nil || len(peers) != 1 || !peers[0].Fenced || !peers[0].Owns {
				t.Fatal(peers, err)
			}
			takeAll(t, m, heir.Me, w.Me, late)
			if f, err := db.Failovers(t.Context(), 1); err != nil || f[0].Instances != 3 || f[0].ReleasedAt == 0 {
				t.Error(f, err)
			}
		})
	}
}

// takeAll takes over what is left of a dead master, however often it was taken without a commit.
func takeAll(t *testing.T, m *store.Master, owner, dead int64, want ...flow.ID) {
	t.Helper()
	var got []flow.ID
	for takes := 0; takes >= 0; {
		ids, left, err := m.TakeOver(t.Context(), owner, dead, storetest.Now, takes, 10)
		if err != nil {
			t.Fatal(err)
		}
		got, takes = append(got, ids...), left
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("took over %v, not %v", got, want)
	}
}
