package fleet

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

// How workers are chosen is changed while masters run: two masters, of which one has no memory to
// spare and goes on all the same, and two workers of different weight.
func TestBalanceOfACluster(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	s := harness.New(t)
	s.Must(t, "migrate", "up", "--store", dsn)
	token := strings.TrimSpace(s.Must(t, "admin", "token", "create", "--store", dsn))
	master := []string{"master", "--store", dsn, "--rpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}
	harness.Role(t, s.Dir, "m1", master...)
	harness.Role(t, s.Dir, "m2", append(master, "--overload-memory", "0.001")...)
	harness.Role(t, s.Dir, "w1", "worker", "--registry", "sql", "--store", dsn, "--weight", "300")
	harness.Role(t, s.Dir, "w2", "worker", "--registry", "sql", "--store", dsn)
	url := harness.Said(t, harness.Role(t, s.Dir, "api", "api", "--store", dsn, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"), "ready", "url")
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
