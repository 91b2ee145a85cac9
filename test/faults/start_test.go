package faults

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"baton/test/harness"
)

// A server that cannot start says why and what to do, and leaves everything as it is.
func TestServerThatCannotStart(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, "name: before\ntasks: {a: {run: echo a}}\n")
	before := s.Run(t, "before").ID
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))

	free := "127.0.0.1:0"
	refused(t, s, fault{5, "conflict", []string{"process " + strconv.Itoa(s.PID()), s.Data, "--data"}}, "standalone", "--listen", free)
	refused(t, s, fault{1, "unavailable", []string{port + " is in use", "--listen"}}, "standalone", "--data", "other", "--listen", "127.0.0.1:"+port)
	refused(t, s, fault{1, "unavailable", []string{port + " is in use", "--admin-listen"}}, "standalone", "--data", "other", "--listen", free, "--admin-listen", "127.0.0.1:"+port)
	refused(t, s, fault{1, "unavailable", []string{"not a directory", "--data"}}, "standalone", "--data", "server.log", "--listen", free)
	refused(t, s, fault{2, "bad_request", []string{"host:port"}}, "standalone", "--data", "other", "--listen", "nonsense")
	healthy(t, s)

	s.Stop(t)
	store := filepath.Join(s.Data, "baton.db")
	s.SQL(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	refused(t, s, fault{5, "conflict", []string{"9999", "newer Baton", "backup"}}, "standalone", "--listen", free)
	s.SQL(t, "DELETE FROM goose_db_version WHERE version_id = 9999")

	if err := os.Rename(store, store+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(store, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, s, fault{5, "conflict", []string{store, "not a SQLite database", "backup"}}, "standalone", "--listen", free)
	if err := os.Rename(store+".away", store); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	if run := s.Instance(t, before); run.State != "succeeded" {
		t.Errorf("after all that: %s", run.State)
	}
	healthy(t, s)
}

// A store that is not there may be on its way: the server says what it waits for, and ends when it is
// asked to.
func TestServerThatWaits(t *testing.T) {
	t.Parallel()
	server := exec.Command(harness.Binary(t), "standalone", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--store", "postgres://nobody@127.0.0.1:1/x")
	said, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	told, lines := false, bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "PostgreSQL cannot be reached; check host and port of `store`") && !told {
			told = true
			if err := server.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
	}
	_ = server.Wait() // however it says that it was asked to end
	if !told {
		t.Error("it ended and did not say what it was waiting for")
	}
}
