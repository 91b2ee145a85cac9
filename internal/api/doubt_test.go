package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"baton/internal/api"
	"baton/internal/flow"
)

// What may be a slip of the pen is accepted, and said.
func TestDoubtsOfAStart(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(ordersYAML)
	w.apply("name: bare\ntasks: {a: {run: echo $day}}\n")
	for body, want := range map[string][]string{
		`{"workflow": "orders", "params": {"day": "1"}}`:                         nil,
		`{"workflow": "orders", "params": {"dya": "1"}}`:                         {`workflow orders declares no parameter "dya"; it is passed on to its tasks; did you mean "day"?`},
		`{"workflow": "bare", "params": {"day": "1"}}`:                           nil, // it declares none at all
		`{"workflow": "orders", "worker_group": "gpu"}`:                          {`no worker serves the group "gpu", which this run names: its tasks wait until one does`},
		`{"workflow": "orders", "worker_group": "gpu", "params": {"zzzz": "1"}}`: {`workflow orders declares no parameter "zzzz"; it is passed on to its tasks`, `no worker serves the group "gpu", which this run names: its tasks wait until one does`},
	} {
		a := w.do(http.MethodPost, "/api/v1/instances", body)
		var i api.Instance
		w.decode(a, &i)
		if a.status != http.StatusCreated || !slices.Equal(i.Warnings, want) {
			t.Errorf("%s: %d %q", body, a.status, i.Warnings)
		}
	}
	a := w.do(http.MethodPost, "/api/v1/instances", `{"workflow": "ordres"}`)
	if a.status != http.StatusNotFound || !strings.Contains(a.body, `did you mean \"orders\"?`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do(http.MethodPost, "/api/v1/instances", `{"workflow": "quite another"}`); a.status != http.StatusNotFound || strings.Contains(a.body, "did you mean") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A list that is narrowed to a workflow which does not exist is no empty list.
func TestListsOfNoWorkflow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(ordersYAML)
	for _, list := range []string{"instances", "schedules", "fires", "triggers", "starts"} {
		if a := w.do(http.MethodGet, "/api/v1/"+list+"?workflow=ordres", ""); a.status != http.StatusNotFound || !strings.Contains(a.body, `did you mean \"orders\"?`) {
			t.Errorf("%s: %d %s", list, a.status, a.body)
		}
		if a := w.do(http.MethodGet, "/api/v1/"+list+"?workflow=orders", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"items":[]`) {
			t.Errorf("%s: %d %s", list, a.status, a.body)
		}
	}
}

// A task whose data source does not exist fails when it starts: apply says so.
func TestMissingDataSource(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const flowOf = "---\nname: load\ntasks: {a: {type: sql, with: {datasource: %s, sql: select 1}}}\n"
	const source = "kind: DataSource\nname: warehouse\ntype: sqlite\ndatabase: w.db\n"
	for yaml, want := range map[string]string{
		strings.Replace(flowOf, "%s", "depot", 1):                `project default has no data source "depot", which task a of workflow load names: it fails until there is one`,
		source + strings.Replace(flowOf, "%s", "warehouse", 1):   "",
		source + strings.Replace(flowOf, "%s", "wharehouse", 1):  `project default has no data source "wharehouse", which task a of workflow load names: it fails until there is one; did you mean "warehouse"?`,
		source + strings.Replace(flowOf, "%s", `"${source}"`, 1): "",
	} {
		a := w.apply(yaml)
		var r api.ApplyResult
		w.decode(a, &r)
		if got := strings.Join(r.Warnings, "|"); a.status != http.StatusOK || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %d %q, want %q", yaml, a.status, got, want)
		}
	}
}

// A try that was lost says why, in words.
func TestWhyATryWasLost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.db.Master()
	worker := flow.Node{Role: flow.RoleWorker, Name: "w1", Home: "w1"}
	first, err := m.Register(t.Context(), worker)
	if err != nil {
		t.Fatal(err)
	}
	r := w.take(w.start())
	row := r.tasks[0]
	row.State = flow.TaskFailed
	row.Attempt.State, row.Attempt.Session = flow.AttemptLost, first.Incarnation
	r.commit(flow.Change{Tasks: []flow.TaskUpdate{{Row: row, Sources: flow.TaskMachine.Sources(flow.TaskFailed)}}})
	why := func() (string, []string) {
		t.Helper()
		var tries api.List[api.Attempt]
		w.get("/api/v1/instances/"+r.row.ID.String()+"/attempts", &tries)
		var e api.Explanation
		w.get("/api/v1/instances/"+r.row.ID.String()+"/explain?task=extract", &e)
		if len(tries.Items) != 1 || tries.Items[0].Reason == nil || len(e.Tasks) != 1 {
			t.Fatalf("%+v, %+v", tries, e)
		}
		return *tries.Items[0].Reason, e.Tasks[0].Lost
	}
	if got, _ := why(); !strings.Contains(got, "lives but does not have it") {
		t.Error(got)
	}
	if _, err := m.Register(t.Context(), worker); err != nil {
		t.Fatal(err)
	}
	got, lost := why()
	if !strings.Contains(got, "was started anew") || !slices.Equal(lost, []string{"try 1 was lost: " + got}) {
		t.Errorf("%q, %q", got, lost)
	}
}
