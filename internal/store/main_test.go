package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"baton/internal/store"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func openSQLite(t testing.TB) *store.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "baton.db"))
}

func openPostgres(t testing.TB) *store.DB {
	t.Helper()
	return open(t, pgtest.New(t))
}

func open(t testing.TB, dsn string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openPostgres)
}

func openPooled(t testing.TB) *store.DB {
	t.Helper()
	return open(t, pgtest.Pooled(t, pgtest.New(t)))
}

func TestPostgresBehindAPooler(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openPooled)
}
