package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
)

func TestSQLiteRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string) string // returns the path to open
		code flow.Code
		says string
	}{
		{"no path", func(*testing.T, string) string { return "" }, flow.CodeBadRequest, "needs a path"},
		{"a folder that is not there", func(_ *testing.T, path string) string { return filepath.Join(path, "x", "y") }, flow.CodeUnavailable, "cannot be written"},
		{"a folder that is a file", func(t *testing.T, path string) string {
			write(t, path, nil)
			return filepath.Join(path, "y")
		}, flow.CodeUnavailable, "cannot be written"},
		{"a folder", func(_ *testing.T, path string) string { return filepath.Dir(path) }, flow.CodeUnavailable, "cannot be written"},
		{"a text", func(t *testing.T, path string) string {
			write(t, path, []byte(strings.Repeat("not a database\n", 20)))
			return path
		}, flow.CodeConflict, "not a SQLite database"},
		{"a short file", func(t *testing.T, path string) string {
			write(t, path, []byte("SQLite"))
			return path
		}, flow.CodeConflict, "not a SQLite database"},
		{"somebody else's database", func(t *testing.T, path string) string {
			foreign(t, path, "CREATE TABLE notes (t TEXT)")
			return path
		}, flow.CodeConflict, "another program"},
		{"a damaged database", func(t *testing.T, path string) string {
			db, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(b[100:], bytes.Repeat([]byte{0xa5}, len(b)-100))
			write(t, path, b)
			return path
		}, flow.CodeConflict, "restore a backup"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := c.make(t, filepath.Join(t.TempDir(), "baton.db"))
			db, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
			if err == nil {
				_ = db.Close()
			}
			if flow.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", flow.CodeOf(err), err)
			}
		})
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// foreign opens a file as another program would, and runs statements on one connection.
func foreign(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// A path may hold what means something in a URL.
func TestSQLiteOddPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%20?c#d&数据.db")
	storetest.NewWorld(t, open(t, "sqlite:"+path)).Run(1)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// A full disk is an error that may be tried again: nothing is poison, nothing is lost.
func TestSQLiteFullDisk(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	w := storetest.NewWorld(t, db)
	ch := w.Run(1)
	if err := db.WriterExec(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	big := storetest.Next(ch.Instance)
	big.Instance.Outputs = bytes.Repeat([]byte("x"), 1<<20)
	if _, err := w.Commit(big); flow.CodeOf(err) != flow.CodeUnavailable || !strings.Contains(err.Error(), "full") {
		t.Fatalf("commit on a full disk: %v", err)
	}
	if err := db.PutBlob(t.Context(), "aa", bytes.Repeat([]byte("x"), 1<<20)); flow.CodeOf(err) != flow.CodeUnavailable {
		t.Fatalf("write on a full disk: %v", err)
	}
	if got := w.Load(ch.Instance.ID); got.Instance.Seq != 1 {
		t.Errorf("seq %d", got.Instance.Seq)
	}
	if err := db.WriterExec(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if rs, err := w.Commit(big); err != nil || rs[0].Fate != flow.Committed {
		t.Errorf("with room again: %v %v", rs, err)
	}
}

func TestSQLiteLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baton.db")
	db := open(t, "sqlite:"+path)
	w := storetest.NewWorld(t, db)
	if err := db.WriterExec(t.Context(), "PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	other.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = other.Close() })
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Submit(); flow.CodeOf(err) != flow.CodeUnavailable || !strings.Contains(err.Error(), "another process") {
		t.Errorf("submit: %v", err)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Submit(); err != nil {
		t.Error(err)
	}
}

// Writes of the API that wait together share a transaction; one that fails is undone alone.
func TestSQLiteSharedTransaction(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	const n = 200
	var group sync.WaitGroup
	for k := range n {
		group.Go(func() {
			sum := string(rune('a'+k%3)) + string(rune('a'+k))
			if k%10 == 0 { // a token twice breaks a unique key
				sum = "same"
			}
			err := db.CreateToken(t.Context(), "n", sum, 1)
			if err != nil && sum != "same" {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var count int
	for k := range n {
		if _, err := db.TokenName(t.Context(), string(rune('a'+k%3))+string(rune('a'+k))); err == nil {
			count++
		}
	}
	if _, err := db.TokenName(t.Context(), "same"); err != nil || count != n*9/10 {
		t.Errorf("%d of %d written, %v", count, n*9/10, err)
	}
}

// A caller that gives up before its turn has written nothing.
func TestSQLiteGivesUp(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.CreateToken(ctx, "n", "late", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := db.TokenName(t.Context(), "late"); flow.CodeOf(err) != flow.CodeNotFound {
		t.Errorf("%v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateToken(t.Context(), "n", "closed", 1); flow.CodeOf(err) != flow.CodeUnavailable {
		t.Errorf("write on a closed store: %v", err)
	}
}

// What was answered is in the file, also when nobody closes the store.
func TestSQLiteKeepsWhatItAnswered(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baton.db")
	w := storetest.NewWorld(t, open(t, "sqlite:"+path))
	ch := w.Run(2)
	again := open(t, "sqlite:"+path)
	heir := storetest.Join(t, again, "home-1") // the same home: the earlier process is dead
	ids, _, err := again.Master().TakeOver(t.Context(), heir.Me, w.Me, storetest.Now, 0, 10)
	if err != nil || len(ids) != 1 || len(heir.Load(ids[0]).Tasks) != 2 || ids[0] != ch.Instance.ID {
		t.Errorf("%v %v", ids, err)
	}
}

// A store that was closed leaves nothing running. Not parallel: it counts goroutines.
func TestCloseEndsEverything(t *testing.T) { //nolint:paralleltest // see above
	before := goleak.IgnoreCurrent()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "baton.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	storetest.NewWorld(t, db).Run(1)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}
