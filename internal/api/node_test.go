package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"baton/internal/flow"
)

// Masters that live under one name are drained by their ids only. One that was started again, or has died, is
// no second one.
func TestDrainOfOneName(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.db.Master()
	register := func(name, address string) string {
		l, err := m.Register(t.Context(), flow.Node{Role: flow.RoleMaster, Name: name, Address: address, State: flow.NodeReady})
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatInt(l.Incarnation, 10)
	}
	states := func(want string) {
		t.Helper()
		all, err := w.db.Nodes(t.Context(), flow.RoleMaster)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range all {
			got = append(got, n.Name+" "+n.State)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("nodes are %s, want %s", strings.Join(got, ", "), want)
		}
	}
	post := func(node, verb string, status int, parts ...string) {
		t.Helper()
		a := w.do(http.MethodPost, "/api/v1/nodes/"+node+"/"+verb, "")
		if a.status != status {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
		for _, part := range parts {
			if !strings.Contains(a.body, part) {
				t.Errorf("answer lacks %s: %s", part, a.body)
			}
		}
	}
	one, two := register("same", "h1:7078"), register("same", "h2:7078")

	many := []string{`2 nodes are called \"same\": ` + one + " (master at h1:7078), " + two + " (master at h2:7078); say which by its id"}
	post("same", "drain", http.StatusConflict, many...)
	states("same ready, same ready")
	post(two, "drain", http.StatusOK, `"state":"draining"`, `2 nodes are called \"same\": this one is drained until it is started again`)
	states("same ready, same draining")
	post("same", "undrain", http.StatusConflict, many...)
	post(two, "undrain", http.StatusOK, `"state":"ready"`, `"warning":null`)
	states("same ready, same ready")

	// A drain of the name is older than the second of it.
	if err := w.db.Drain(t.Context(), "master:same", "ops", 1); err != nil {
		t.Fatal(err)
	}
	states("same draining, same draining")
	post(one, "undrain", http.StatusOK, "the drain was of all that are called so: "+two+" takes work again too")
	states("same ready, same ready")

	// The second one dies: the name is that of one node again.
	dead, _ := strconv.ParseInt(two, 10, 64)
	if _, err := m.Condemn(t.Context(), dead, w.lease.Incarnation, "it is dead"); err != nil {
		t.Fatal(err)
	}
	post("same", "drain", http.StatusOK, `"id":"`+one+`"`, `"warning":null`)
	states("same draining, same lost")
	post("same", "undrain", http.StatusOK)

	// The first one is started again before anybody has noticed that it died.
	again := register("same", "h1:7078")
	post("same", "drain", http.StatusOK, `"id":"`+again+`"`, `"warning":null`)
}
