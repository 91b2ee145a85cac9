// The store of a server, behind the back of everybody.

package harness

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// SQL writes into the store of a server that is not running.
func (s *Server) SQL(t testing.TB, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.Data, "baton.db")+"?_pragma=ignore_check_constraints(1)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
