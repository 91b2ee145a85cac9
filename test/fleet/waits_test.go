package fleet

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baton/internal/store/storetest/pgtest"
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
	admin := harness.Said(t, w.log, "health and metrics", "admin")
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

// So is a user whom the database of the registry does not let in, when nothing runs.
func TestWorkerThatIsNotLetIn(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	dsn, err := url.Parse(pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn.User = url.User("nobody_of_that_name")
	r := s.Baton(t, "worker", "--registry", "sql", "--store", dsn.String(), "--data", filepath.Join(s.Dir, "w1"), "--log-format", "json")
	if r.Code != 2 || strings.Count(r.Stderr, "the worker cannot begin until a setting is changed") != 1 || !strings.Contains(r.Stderr, "nobody_of_that_name") {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
}

// A worker that held nothing of its cluster joins another one, and tasks run there: a test cluster that was
// made anew asks nothing of anybody.
func TestWorkerJoinsAnotherCluster(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	flow := filepath.Join(s.Dir, "w.yaml")
	if err := os.WriteFile(flow, []byte("name: w\ntasks: {a: {run: 'true'}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []string{"one", "two"} {
		store := pgtest.Empty(t)
		s.Must(t, "migrate", "up", "--store", store)
		token := strings.TrimSpace(s.Must(t, "admin", "token", "create", "--store", store))
		harness.Role(t, s.Dir, "m-"+cluster, "master", "--store", store, "--rpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
		url := harness.Said(t, harness.Role(t, s.Dir, "a-"+cluster, "api", "--store", store, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"), "ready", "url")
		w := &role{name: "w", log: filepath.Join(s.Dir, "w-"+cluster+".log"), args: []string{
			"worker", "--registry", "sql", "--store", store, "--name", "w", "--data", filepath.Join(s.Dir, "w"), "--log-format", "json",
		}}
		w.start(t, harness.Binary(t))
		t.Cleanup(func() { w.cmd.Process.Kill() })
		s.Must(t, "apply", "-f", flow, "--server", url, "--token", token)
		s.Must(t, "run", "w", "--wait", "--server", url, "--token", token)
		w.leave(t)
	}
	b, err := os.ReadFile(filepath.Join(s.Dir, "w-two.log"))
	if err != nil || !strings.Contains(string(b), "joining another cluster") {
		t.Errorf("%v: %s", err, b)
	}
}
