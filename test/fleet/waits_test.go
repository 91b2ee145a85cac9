package fleet

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"baton/test/harness"
)

// A worker whose masters are in a store that is away lives, says what it waits for, and ends when it is
// asked to.
func TestWorkerWaitsForItsStore(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	w := &role{name: "w1", log: filepath.Join(s.Dir, "w1.log"), args: []string{
		"worker", "--registry", "sql", "--store", "postgres://nobody@127.0.0.1:1/x", "--name", "w1",
		"--data", filepath.Join(s.Dir, "w1"), "--admin-listen", "127.0.0.1:0", "--log-format", "json",
	}}
	w.start(t, harness.Binary(t))
	t.Cleanup(func() { w.cmd.Process.Kill() })
	admin := said(t, w.log, "health and metrics", "admin")
	ask := func(path string) (status int, text string) {
		res, err := http.Get(admin + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, text := ask("/livez"); status != http.StatusOK {
		t.Errorf("it is not alive: %d %s", status, text)
	}
	harness.Eventually(t, "it says what it waits for", func() bool {
		status, text := ask("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "PostgreSQL cannot be reached; check host and port of `store`")
	})
	w.leave(t)
}

// What no second try can mend ends the command, and is not left to the worker below.
func TestWorkerWithAWrongCertificate(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	r := s.Baton(t, "worker", "--registry", "master://127.0.0.1:1", "--data", filepath.Join(s.Dir, "w1"),
		"--tls-cert", "none.pem", "--tls-key", "none.pem", "--tls-ca", "none.pem")
	if r.Code == 0 || !strings.Contains(r.Stderr, "none.pem") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
}
