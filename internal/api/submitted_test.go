package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

// A run that no master takes says why: there is none, or all were told to take nothing.
func TestWhyNobodyTakesARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, whyNobodyTakesARun)
}

func whyNobodyTakesARun(t *testing.T) {
	time.Sleep(time.Until(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2025
	w := setup(t)
	id := w.start().String()
	why := func() string {
		w.t.Helper()
		time.Sleep(time.Second) // it is looked at now and then
		var e api.Explanation
		var i api.Instance
		w.get("/api/v1/instances/"+id+"/explain", &e)
		w.get("/api/v1/instances/"+id, &i)
		if e.Reason == nil || i.Reason == nil || *e.Reason != *i.Reason {
			t.Errorf("explain says %v, the run %v", e.Reason, i.Reason)
			return ""
		}
		return *e.Reason
	}
	var young api.Instance
	if w.get("/api/v1/instances/"+id, &young); *young.Reason != flow.ReasonSubmitted {
		t.Errorf("at first: %s", *young.Reason)
	}
	if got := why(); got != flow.ReasonSubmitted {
		t.Errorf("with a master that takes work: %s", got)
	}
	if a := w.do(http.MethodPost, "/api/v1/nodes/m1/drain", ""); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	if got := why(); !strings.HasPrefix(got, "masters_drained: ") || !strings.Contains(got, "(m1); `baton undrain m1`") {
		t.Errorf("drained: %s", got)
	}
	m := w.db.Master()
	second, err := m.Register(t.Context(), flow.Node{Role: flow.RoleMaster, Name: "m2", Home: "m2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := why(); got != flow.ReasonSubmitted {
		t.Errorf("with a second one: %s", got)
	}
	for dead, witness := range map[int64]int64{second.Incarnation: w.lease.Incarnation, w.lease.Incarnation: second.Incarnation} {
		if _, err := m.Condemn(t.Context(), dead, witness, "it is dead"); err != nil {
			t.Fatal(err)
		}
	}
	if got := why(); !strings.HasPrefix(got, "no_master: ") || !strings.Contains(got, "lost: m1, m2.") {
		t.Errorf("all dead: %s", got)
	}
}
