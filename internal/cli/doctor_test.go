package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

// asked is a doctor of a server that answers with these objects, by path below /api/v1.
func asked(t *testing.T, answers map[string]any, nodes ...api.Node) *doctor {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(answers[strings.TrimPrefix(r.URL.Path, apiPrefix)])
	}))
	t.Cleanup(s.Close)
	cfg := Config{Server: s.URL, Data: t.TempDir()}
	return &doctor{config: cfg, client: newClient(cfg), nodes: nodes, skews: map[string]time.Duration{}}
}

// Without a master nobody renews the leases of workers, and that is not their fault.
func TestDoctorWithoutMasters(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := asked(t, map[string]any{"/settings/lease": api.Setting{Key: "lease", Value: "10s"}},
		api.Node{ID: "1", Role: flow.RoleMaster, Name: "m1", State: flow.NodeLost},
		api.Node{ID: "2", Role: flow.RoleWorker, Name: "w1", State: flow.NodeReady, LeaseUntil: flow.At(now.Add(time.Second))},
		api.Node{ID: "3", Role: flow.RoleAPI, Name: "a1", State: flow.NodeReady, LeaseUntil: flow.At(now.Add(9 * time.Second))})
	d.fleet(t.Context())
	found := map[string]checked{}
	for _, f := range d.found {
		found[f.Check] = f
	}
	if n := found["nodes"]; n.Status != checkError || n.Found != "no master is alive (0 masters, 1 worker, 1 api; lost: master m1)" || !strings.Contains(n.Remedy, "`baton master --store …`") {
		t.Errorf("%+v", n)
	}
	if l := found["leases"]; l.Status != checkOK || strings.Contains(l.Found, "w1") {
		t.Errorf("the worker is blamed: %+v", l)
	}
}

// A master that has just died is not counted because its lease is not over yet: nobody else may be there to
// declare it dead.
func TestDoctorFindsDeadMasters(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := asked(t, map[string]any{"/settings/lease": api.Setting{Key: "lease", Value: "10s"}},
		api.Node{ID: "1", Role: flow.RoleMaster, Name: "dead", State: flow.NodeReady, Address: "127.0.0.1:1", LeaseUntil: flow.At(now.Add(4 * time.Second))},
		api.Node{ID: "2", Role: flow.RoleMaster, Name: "behind-a-wall", State: flow.NodeReady, Address: "127.0.0.1:1", LeaseUntil: flow.At(now.Add(9 * time.Second))})
	d.masters(t.Context())
	if len(d.found) != 2 || d.found[0].Found != "dead does not answer at 127.0.0.1:1: nobody listens there" {
		t.Errorf("%+v", d.found)
	}
	d.bury(t.Context())
	if d.nodes[0].State != flow.NodeLost || d.nodes[1].State != flow.NodeReady {
		t.Errorf("%s, %s", d.nodes[0].State, d.nodes[1].State)
	}
	d.nodes = d.nodes[:1]
	if d.driven() {
		t.Error("a dead master drives")
	}
}

// The disk of a folder that no node uses says nothing about the cluster.
func TestDoctorLooksAtDisksOfNodesOnly(t *testing.T) {
	t.Parallel()
	d := asked(t, nil)
	if d.disk(); len(d.found) != 0 {
		t.Errorf("%+v", d.found)
	}
	worker := filepath.Join(d.config.Data, "worker")
	if err := os.Mkdir(worker, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := lockFolder(t.Context(), worker)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d.disk(); len(d.found) != 1 || !strings.Contains(d.found[0].Found, d.config.Data+" on this machine has ") {
		t.Errorf("%+v", d.found)
	}
}
