package api_test

import (
	"net/http"
	"strings"
	"testing"

	"baton/internal/api"
	"baton/internal/flow"
)

const spark3 = "kind: Environment\nname: spark3\nenv: {SPARK_HOME: /opt/spark3, KEY: {file: /run/key}}\nscript: export A=1\nworker_groups: [spark]\n"

// What would fail when it starts is refused when it is applied: with its place, and all of it at once.
func TestApplyInAnEnvironment(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if a := w.apply("name: w\nenvironment: spark3\nworker_group: spark\ntasks: {a: {run: x}}\n---\n" + spark3); a.status != http.StatusOK {
		t.Fatal(a.body) // in any order
	}
	for yaml, want := range map[string][]flow.Error{
		"name: w\nenvironment: spark4\ntasks:\n  a: {run: x}\n": {
			{Line: 2, Column: 14, Field: "environment", Suggestion: "spark3", Message: `there is no environment "spark4"; did you mean "spark3"?`},
		},
		"name: w\ntasks:\n  a: {run: x, environment: quite-another}\n  b: {run: x, environment: spark3}\n  c: {run: x, environment: spark3, worker_group: spark}\n": {
			{Line: 3, Column: 28, Field: "tasks.a.environment", Message: `task a: there is no environment "quite-another"`},
			{Line: 4, Column: 28, Field: "tasks.b.environment", Message: `task b: environment "spark3" may not be used in the worker group "default"; it is for spark`},
		},
		"name: w\nenvironment: spark3\ntasks:\n  a: {run: x}\n  b: {type: sql, with: {datasource: d, sql: select 1}}\n": {
			{Line: 4, Column: 6, Field: "tasks.a.environment", Message: `task a: environment "spark3" may not be used in the worker group "default"; it is for spark`},
		},
		// The files' own counts, not the one it takes the place of.
		"kind: Environment\nname: spark3\nworker_groups: [dw]\n---\nname: w\nworker_group: spark\nenvironment: spark3\ntasks: {a: {run: x}}\n": {
			{Line: 8, Column: 12, Field: "tasks.a.environment", Message: `task a: environment "spark3" may not be used in the worker group "spark"; it is for dw`},
		},
	} {
		a := w.apply(yaml)
		var p api.Problem
		w.decode(a, &p)
		if a.status != http.StatusUnprocessableEntity || p.Code != flow.CodeInvalidFile {
			t.Errorf("%s: %d %s", yaml, a.status, a.body)
			continue
		}
		for i, e := range want {
			if i >= len(p.Errors) {
				t.Errorf("%s: lacks %q: %s", yaml, e.Message, a.body)
				continue
			}
			e.Code, e.File = flow.CodeInvalidFile, "orders.yaml"
			if got := p.Errors[i]; got != e {
				t.Errorf("%s:\n got %+v\nwant %+v", yaml, got, e)
			}
		}
	}
	if a := w.apply("name: w\nworker_group: spark\nenvironment: spark3\ntasks: {a: {run: x}}\n"); a.status != http.StatusOK || !strings.Contains(a.body, "unchanged") {
		t.Error(a.body)
	}
	if a := w.apply("name: free\ntasks: {a: {run: x}, b: {run: x, environment: spark3, worker_group: spark}}\n"); a.status != http.StatusOK {
		t.Error(a.body)
	}
	for body, want := range map[string]string{
		`{"workflow": "free", "environment": "spark4"}`:                               `there is no environment \"spark4\"; did you mean \"spark3\"?`,
		`{"workflow": "free", "environment": "spark3"}`:                               `task a: environment \"spark3\" may not be used in the worker group \"default\"`,
		`{"workflow": "free", "environment": "spark3", "worker_group": "spark"}`:      "",
		`{"workflow": "free", "environment": "spark3", "tasks": ["b"]}`:               "",
		`{"workflow": "w", "worker_group": "dw"}`:                                     `task a: environment \"spark3\" may not be used in the worker group \"dw\"`,
		`{"workflow": "free", "environment": "spark3", "tasks": ["b"], "params": {}}`: "",
	} {
		a := w.do(http.MethodPost, "/api/v1/instances", body)
		if status := map[bool]int{true: http.StatusCreated, false: http.StatusBadRequest}[want == ""]; a.status != status || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestEnvironmentsAndGroupsAreListed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, n := range []flow.Node{
		{Name: "w1", Home: "1", Groups: []string{"default", "spark"}, Slots: 8, Running: 3},
		{Name: "w2", Home: "2", Groups: []string{"spark"}, Slots: 4, Running: 0},
	} {
		n.Role, n.State = flow.RoleWorker, flow.NodeReady
		lease, err := w.db.Master().Register(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		n.Incarnation = lease.Incarnation
		if _, err := w.db.Master().Heartbeat(t.Context(), []flow.Node{n}); err != nil {
			t.Fatal(err)
		}
	}
	w.apply(spark3 + "---\nkind: WorkerGroup\nname: spark\ndescription: Machines with Spark\n---\nkind: WorkerGroup\nname: gpu\n---\nname: w\ntasks: {a: {run: x, worker_group: gpu}}\n")
	var groups api.List[api.Group]
	w.get("/api/v1/groups", &groups)
	want := []api.Group{
		{Name: "default", Workers: 1, Slots: 8, Free: 5},
		{Name: "gpu", Declared: true},
		{Name: "spark", Declared: true, Description: "Machines with Spark", Workers: 2, Slots: 12, Free: 9},
	}
	if len(groups.Items) != len(want) {
		t.Fatalf("%+v", groups.Items)
	}
	for i := range want {
		if groups.Items[i] != want[i] {
			t.Errorf("got %+v, want %+v", groups.Items[i], want[i])
		}
	}

	for _, s := range []struct{ method, path, body, want string }{
		{"GET", "/environments", "", `"name":"spark3","description":"","version":1,`},
		{"GET", "/environments", "", `"env":[{"name":"SPARK_HOME","value":"/opt/spark3","secret":null},{"name":"KEY","value":null,"secret":"file:/run/key"}],"script":"export A=1","worker_groups":["spark"]}`},
		{"GET", "/export", "", "kind: WorkerGroup\nname: spark\ndescription: Machines with Spark\n---\nkind: Environment\nname: spark3\n"},
		{"POST", "/diff", filesJSON("f.yaml", strings.Replace(spark3, "A=1", "A=2", 1)), `"kind":"Environment","project":"","name":"spark3","change":"updated","fields":[{"op":"changed","path":"script","before":"export A=1","after":"export A=2"}]`},
		{"POST", "/diff", filesJSON("f.yaml", "kind: WorkerGroup\nname: gpu\n"), `"change":"unchanged"`},
		{"POST", "/diff", filesJSON("f.yaml", "kind: Environment\nname: new\n"), `"change":"created"`},
		{"POST", "/validate", filesJSON("f.yaml", spark3), `{"kind":"Environment","project":"","name":"spark3"`},
		// What was declared is meant, and lends its name to what may be a slip of the pen.
		{"POST", "/apply", filesJSON("f.yaml", "name: w\ntasks: {a: {run: x, worker_group: gpu}}\n"), `"warnings":[]`},
		{"POST", "/apply", filesJSON("f.yaml", "name: w\ntasks: {a: {run: x, worker_group: gpus}}\n"), `no worker serves the group \"gpus\", which workflow default/w names: its tasks wait until one does; did you mean \"gpu\"?`},
		{"POST", "/instances", `{"workflow": "w", "worker_group": "gpu"}`, `no worker serves the group \"gpu\", which this run names: its tasks wait until one does"`},
	} {
		if a := w.do(s.method, "/api/v1"+s.path, s.body); a.status >= 300 || !strings.Contains(a.body, s.want) {
			t.Errorf("%s %s %s: %d %s, want %s", s.method, s.path, s.body, a.status, a.body, s.want)
		}
	}
	if a := w.do("GET", "/api/v1/export?project=default", ""); strings.Contains(a.body, "kind: Environment") {
		t.Error(a.body)
	}
}
