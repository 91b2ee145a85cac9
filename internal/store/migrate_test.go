package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

// databases are empty ones of each kind, with a way to run SQL beside the store.
var databases = []struct {
	name string
	make func(t *testing.T) (dsn string, exec func(string))
}{
	{"sqlite", func(t *testing.T) (string, func(string)) {
		path := filepath.Join(t.TempDir(), "baton.db")
		return "sqlite:" + path, func(text string) { foreign(t, path, text) }
	}},
	{"postgres", func(t *testing.T) (string, func(string)) {
		dsn := pgtest.Empty(t)
		return dsn, func(text string) {
			if _, err := connect(t, dsn, "test").Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	}},
}

func TestMigrateUpAndDown(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn, _ := d.make(t)
			if _, err := store.Open(t.Context(), dsn, store.Options{SkipMigrate: true}); flow.CodeOf(err) != flow.CodeConflict || !strings.Contains(err.Error(), "baton migrate up") {
				t.Errorf("open without a schema: %v", err)
			}
			m, err := store.NewMigrator(dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}()
			for round := range 2 {
				if err := m.Up(t.Context()); err != nil {
					t.Fatalf("up, round %d: %v", round, err)
				}
				steps, err := m.Status(t.Context())
				if err != nil || len(steps) == 0 || steps[0].Version != 1 || steps[0].AppliedAt == 0 {
					t.Fatalf("%+v %v", steps, err)
				}
				if round == 0 {
					if err := m.DownTo(t.Context(), 0); err != nil {
						t.Fatal(err)
					}
					if steps, err = m.Status(t.Context()); err != nil || steps[0].AppliedAt != 0 {
						t.Fatalf("%+v %v", steps, err)
					}
				}
			}
			db, err := store.Open(t.Context(), dsn, store.Options{SkipMigrate: true})
			if err != nil {
				t.Fatal(err)
			}
			storetest.NewWorld(t, db).Run(1)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn, exec := d.make(t)
			db, err := store.Open(t.Context(), dsn, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)")
			_, err = store.Open(t.Context(), dsn, store.Options{})
			if flow.CodeOf(err) != flow.CodeConflict || !strings.Contains(err.Error(), "newer Baton") || !strings.Contains(err.Error(), "9999") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for dsn, says := range map[string]string{
		"mysql://root:secret@h/d": "neither",
		"baton.db":                "neither",
		"postgres://h:port/x":     "not valid",
		"postgres://baton:secret@127.0.0.1:1/x?connect_timeout=2": "cannot be reached",
	} {
		_, err := store.Open(t.Context(), dsn, store.Options{})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestFirstID(t *testing.T) {
	t.Parallel()
	const at flow.Time = 1_800_000_000_123_456
	id := flow.NewIDSource(0, 0).Next(at)
	if lo, hi := store.FirstID(at), store.FirstID(at.Add(1e6)); id < lo || id >= hi {
		t.Errorf("id %d of %d is not in [%d, %d)", id, at, lo, hi)
	}
}
