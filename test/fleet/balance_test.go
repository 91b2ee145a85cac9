package fleet

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

// run starts a role as a process and ends it with the test. It returns the file of its log.
func run(t testing.TB, dir, name string, args ...string) (log string) {
	t.Helper()
	log, _ = start(t, dir, name, args...)
	return log
}

// start is run for who wants to know the process too.
func start(t testing.TB, dir, name string, args ...string) (log string, pid int) {
	t.Helper()
	log = filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(harness.Binary(t), append(args, "--name", name, "--data", filepath.Join(dir, name), "--log-format", "json")...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("the log of %s:\n%s", name, b)
		}
	})
	return log, cmd.Process.Pid
}

// said waits until a log has a line with a message, and returns a field of it.
func said(t testing.TB, log, message, field string) (value string) {
	t.Helper()
	harness.Eventually(t, message, func() bool {
		b, err := os.ReadFile(log)
		if err != nil {
			return false
		}
		for line := range bytes.Lines(b) {
			var entry map[string]any
			if json.Unmarshal(line, &entry) == nil && entry["msg"] == message {
				value, _ = entry[field].(string)
				return true
			}
		}
		return false
	})
	return value
}

// How workers are chosen is changed while masters run: two masters, of which one has no memory to
// spare and goes on all the same, and two workers of different weight.
func TestBalanceOfACluster(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	s := harness.New(t)
	s.Must(t, "migrate", "up", "--store", dsn)
	token := strings.TrimSpace(s.Must(t, "admin", "token", "create", "--store", dsn))
	master := []string{"master", "--store", dsn, "--rpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}
	run(t, s.Dir, "m1", master...)
	run(t, s.Dir, "m2", append(master, "--overload-memory", "0.001")...)
	run(t, s.Dir, "w1", "worker", "--registry", "sql", "--store", dsn, "--weight", "300")
	run(t, s.Dir, "w2", "worker", "--registry", "sql", "--store", dsn)
	url := said(t, run(t, s.Dir, "api", "api", "--store", dsn, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"), "ready", "url")
	baton := func(args ...string) string {
		t.Helper()
		return s.Must(t, append(args, "--server", url, "--token", token)...)
	}
	harness.Eventually(t, "two workers", func() bool { return strings.Count(baton("get", "workers", "-o", "name"), "\n") == 2 })
	harness.Eventually(t, "one master is busy", func() bool {
		states := map[string]string{}
		for _, n := range harness.Decode[harness.List[struct{ Name, State string }]](t, baton("get", "masters", "-o", "json")).Items {
			states[n.Name] = n.State
		}
		return states["m1"] == "ready" && states["m2"] == "busy"
	})
	file := filepath.Join(s.Dir, "wide.yaml")
	var tasks strings.Builder
	for name := range strings.FieldsSeq("a b c d e f g h") {
		tasks.WriteString("  " + name + ": {type: noop}\n")
	}
	if err := os.WriteFile(file, []byte("name: wide\ntasks:\n"+tasks.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	baton("apply", "-f", file)
	spread := func() (count map[string]int) {
		count = map[string]int{}
		for _, task := range harness.Decode[harness.Instance](t, baton("run", "wide", "--wait", "-o", "json")).Tasks {
			count[task.Worker]++
		}
		return count
	}
	for _, c := range []struct {
		balance string
		w1      int // of eight tasks
	}{{"weighted", 6}, {"round_robin", 4}, {"random,default=weighted", 6}, {"round_robin,other=random", 4}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/api/v1/settings/balance", strings.NewReader(`{"value": "`+c.balance+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("balance %s: %s", c.balance, res.Status)
		}
		harness.Eventually(t, "it is followed: "+c.balance, func() bool {
			n := spread()
			return n["w1"] == c.w1 && n["w2"] == 8-c.w1
		})
	}
}
