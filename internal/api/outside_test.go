package api_test

import (
	"strings"
	"testing"

	"baton/internal/api"
	"baton/internal/flow"
)

// What triggers wait for outside is told with them, or why nobody can look; and apply says what will be heard of nobody.
func TestTriggersOutside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const yaml = `
name: load
triggers:
  - {name: came, file: {path: "/data/in/*.csv", settled: 0s}}
  - {name: told, notify: {datasource: warehose, channel: orders, missed: once}}
  - {name: mine, notify: {datasource: mine, channel: orders}}
tasks: {a: {run: echo}}
---
kind: DataSource
name: warehouse
type: postgres
host: db
---
kind: DataSource
name: mine
type: sqlite
dsn: "file:x.db"
`
	a := w.apply(yaml)
	for _, part := range []string{
		`project default has no data source \"warehose\", which trigger told of workflow load listens to: it hears nothing until there is one; did you mean \"warehouse\"?`,
		`trigger mine of workflow load hears nothing: data source mine is of type sqlite, and only one of type postgres notifies`,
	} {
		if !strings.Contains(a.body, part) {
			t.Errorf("%d %s\nhas no %s", a.status, a.body, part)
		}
	}
	shown := func() map[string]api.Trigger {
		t.Helper()
		var list api.List[api.Trigger]
		w.get("/api/v1/triggers?workflow=load&project=default", &list)
		out := map[string]api.Trigger{}
		for _, tr := range list.Items {
			out[tr.Name] = tr
		}
		return out
	}
	got := shown()
	if f := got["came"]; f.Kind != "file" || *f.File != (api.AwaitedFile{Path: "/data/in/*.csv", Every: "5s", Settled: "0s"}) || f.Waits != "looks for /data/in/*.csv, as soon as a master takes it up" || f.Notify != nil {
		t.Errorf("%+v", f)
	}
	if n := got["told"]; n.Kind != "notify" || *n.Notify != (flow.Notify{DataSource: "warehose", Channel: "orders", Missed: flow.MissedOnce}) {
		t.Errorf("%+v", n)
	}
	m := w.db.Master()
	out, err := m.LookOut(t.Context(), w.lease.Incarnation, "")
	if err != nil || len(out.Triggers) != 3 {
		t.Fatalf("%+v %v", out, err)
	}
	looks := []flow.Looked{{Trigger: out.Triggers[0].ID, Since: out.Triggers[0].Since, At: 5}, {Trigger: out.Triggers[1].ID, Since: out.Triggers[1].Since, Problem: "no way"}}
	if err := m.Looked(t.Context(), w.lease.Incarnation, looks, 5); err != nil {
		t.Fatal(err)
	}
	got = shown()
	if f := got["came"]; f.Waits != "looks for /data/in/*.csv" || f.LookedAt != 5 || f.Problem != nil {
		t.Errorf("%+v", f)
	}
	if n := got["told"]; n.Waits != "cannot look: no way" || *n.Problem != "no way" {
		t.Errorf("%+v", n)
	}
}
