package api_test

import (
	"net/http"
	"strings"
	"testing"

	"baton/internal/flow"
)

const (
	zeroSum  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of nothing
	otherSum = "0000000000000000000000000000000000000000000000000000000000000000"
)

// One run, one scenario a line: what is asked, and what comes back.
func TestScenarios(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.start()
	r := w.take(id)
	r.end(flow.TaskFailed, flow.InstanceFailed, 3)
	w.nodes()
	run := "/instances/" + id.String()
	deep := "name: scripted\ntasks:\n  a: {run: ./a.sh, files: [a.sh]}\n"

	for _, s := range []struct {
		name, method, path, body string
		status                   int
		want                     []string
	}{
		{"version", "GET", "/version", "", 200, []string{`"version":"test"`}},
		{"schema", "GET", "/schema", "", 200, []string{`"$schema"`}},
		{"openapi", "GET", "/openapi.json", "", 200, []string{`"openapi": "3.1.0"`}},

		{"projects", "GET", "/projects", "", 200, []string{`"name":"default"`}},
		{"project", "GET", "/projects/default", "", 200, []string{`"name":"default"`}},
		{"no project", "GET", "/projects/none", "", 404, []string{`"code":"not_found"`}},
		{"workflows", "GET", "/workflows", "", 200, []string{`"name":"orders"`, `"tasks":2`, `"next":null`}},
		{"workflows of a project", "GET", "/workflows?project=none", "", 200, []string{`"items":[]`}},
		{"bad cursor of workflows", "GET", "/workflows?cursor=!", "", 400, []string{`"field":"cursor"`}},
		{"workflow", "GET", "/projects/default/workflows/orders", "", 200, []string{`"definition":{`, `"version":1`}},
		{"no workflow", "GET", "/projects/default/workflows/none", "", 404, []string{`"code":"not_found"`}},
		{"versions", "GET", "/projects/default/workflows/orders/versions", "", 200, []string{`"version":1`}},
		{"no versions", "GET", "/projects/default/workflows/none/versions", "", 404, nil},

		{"validate", "POST", "/validate", filesJSON("f.yaml", deep), 200, []string{`"resources":["a.sh"]`, `"file":"f.yaml"`}},
		{"validate what is wrong", "POST", "/validate", filesJSON("f.yaml", "name: x\ntaks: {}\n"), 422, []string{`"code":"invalid_file"`, `"line":2`, `"suggestion":"tasks"`, `"errors":[`}},
		{"validate nothing", "POST", "/validate", `{"files": []}`, 400, []string{`"field":"files"`}},
		{"apply what is the same", "POST", "/apply", filesJSON("f.yaml", ordersYAML), 200, []string{`"change":"unchanged"`, `"version":1`}},
		{"apply without its resource", "POST", "/apply", filesJSON("f.yaml", deep), 422, []string{`a.sh`, `"code":"invalid_file"`}},
		{"apply with a resource that is not stored", "POST", "/apply", withResource(deep, otherSum), 409, []string{otherSum}},
		{"diff of a new one", "POST", "/diff", filesJSON("f.yaml", deep), 200, []string{`"change":"created"`}},
		{"diff of the same", "POST", "/diff", filesJSON("f.yaml", ordersYAML), 200, []string{`"change":"unchanged"`, `"fields":[]`}},
		{"diff of another", "POST", "/diff", filesJSON("f.yaml", strings.Replace(ordersYAML, "Loads", "Loads all", 1)), 200, []string{`"change":"updated"`, `"path":"description"`}},
		{"export", "GET", "/export?workflow=orders", "", 200, []string{"name: orders", "extract:"}},
		{"export of nothing", "GET", "/export?workflow=none", "", 404, nil},

		{"blob is missing", "POST", "/blobs/missing", `{"sums": ["` + zeroSum + `"]}`, 200, []string{`"missing":["` + zeroSum}},
		{"blob of another sum", "PUT", "/blobs/" + otherSum, "content", 400, []string{`"field":"sha256"`}},
		{"blob", "PUT", "/blobs/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73", "content", 204, nil},
		{"blob comes back", "GET", "/blobs/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73", "", 200, []string{"content"}},
		{"no blob", "GET", "/blobs/" + otherSum, "", 404, nil},

		{"start of nothing", "POST", "/instances", `{"workflow": "none"}`, 404, []string{`"code":"not_found"`}},
		{"start without a name", "POST", "/instances", `{}`, 400, []string{`"code":"bad_request"`}},
		{"start with a key too many", "POST", "/instances", `{"workflow": "orders", "paramz": {}}`, 400, []string{`"field":"paramz"`}},
		{"start with a parameter that no store keeps", "POST", "/instances", `{"workflow": "orders", "params": {"region": "a\u0000b"}}`, 400, []string{`params.region holds the character NUL`, `"code":"bad_request"`}},
		{"start with such a name", "POST", "/instances", `{"workflow": "orders", "params": {"a\u0000b": "x"}}`, 400, []string{`holds the character NUL`}},
		{"start with what only looks so", "POST", "/instances", `{"workflow": "orders", "params": {"region": "a\\u0000b"}}`, 201, []string{`"state":"submitted"`}},
		{"event with such a parameter", "POST", "/projects/default/events/loaded", `{"params": {"k": "\u0000"}}`, 400, []string{`params.k holds the character NUL`}},
		{"decision with such a field", "POST", run + "/tasks/extract/approve", `{"fields": {"k": "\u0000"}}`, 400, []string{`fields.k holds the character NUL`}},
		{"start with a bad parameter", "POST", "/instances", `{"workflow": "orders", "params": {"region": "mars"}}`, 400, []string{`"field":"params"`}},
		{"start with a bad time", "POST", "/instances", `{"workflow": "orders", "data_time": "soon"}`, 400, []string{`"field":"data_time"`}},
		{"start with a mode alone", "POST", "/instances", `{"workflow": "orders", "mode": "only"}`, 400, []string{`"field":"mode"`}},
		{"start in an environment", "POST", "/instances", `{"workflow": "orders", "environment": "x"}`, 400, []string{`"code":"bad_request"`, `"field":"environment"`}},
		{"start for a day", "POST", "/instances", `{"workflow": "orders", "data_time": "2026-03-01", "priority": "high"}`, 201, []string{`"data_time":"2026-03-01T00:00:00Z"`, `"state":"submitted"`, `"priority":"high"`}},
		{"start is no JSON", "POST", "/instances", `{`, 400, []string{`"code":"bad_request"`}},

		{"instances", "GET", "/instances", "", 200, []string{id.String(), `"state":"failed"`}},
		{"instances by state", "GET", "/instances?state=failed,stopped", "", 200, []string{id.String()}},
		{"instances of another state", "GET", "/instances?state=paused", "", 200, []string{`"items":[]`}},
		{"instances of no state", "GET", "/instances?state=flying", "", 400, []string{`"field":"state"`}},
		{"instances since", "GET", "/instances?since=2020-01-01T00:00:00Z&workflow=orders&project=default", "", 200, []string{id.String()}},
		{"instances since no time", "GET", "/instances?since=soon", "", 400, []string{`"field":"since"`}},
		{"instances too many", "GET", "/instances?limit=501", "", 400, []string{`"field":"limit"`}},
		{"instances by an unknown filter", "GET", "/instances?colour=red", "", 400, []string{`"field":"colour"`}},
		{"instance", "GET", run, "", 200, []string{`"tasks":[{`, `"exit_code":3`, `"owner":`, `"params":{"day":"20260301"}`, `"parent":null`, `"token":`}},
		{"no instance", "GET", "/instances/99", "", 404, []string{`"code":"not_found"`}},
		{"no id", "GET", "/instances/abc", "", 400, []string{`"field":"id"`}},
		{"wait for what is over", "GET", run + "/wait", "", 200, []string{`"reached":true`}},
		{"wait for another end", "GET", run + "/wait?state=succeeded", "", 200, []string{`"reached":false`}},
		{"wait too vaguely", "GET", run + "/wait?timeout=soon", "", 400, []string{`"field":"timeout"`}},
		{"tasks", "GET", run + "/tasks", "", 200, []string{`"name":"extract"`}},
		{"tasks of a name", "GET", run + "/tasks?task=load", "", 200, []string{`"items":[]`}},
		{"tasks of no name", "GET", run + "/tasks?task=none", "", 404, nil},
		{"attempts", "GET", run + "/attempts", "", 200, []string{`"cause":"exit:3"`, `"class":"user"`}},
		{"attempts of a task", "GET", run + "/attempts?task=extract", "", 200, []string{`"attempt":1`}},
		{"attempts of no task", "GET", run + "/attempts?task=none", "", 404, nil},
		{"explain", "GET", run + "/explain", "", 200, []string{`"name":"load"`, `"from":"global"`}},
		{"explain a task", "GET", run + "/explain?task=load", "", 200, []string{`"name":"load"`}},
		{"explain no task", "GET", run + "/explain?task=none", "", 404, nil},
		{"outcomes", "GET", run + "/outcomes", "", 200, []string{`"items":[]`}},
		{"log of a task not reached", "GET", run + "/tasks/load/log", "", 404, []string{`has not been reached`}},
		{"log of no task", "GET", run + "/tasks/none/log", "", 404, []string{`no task`}},
		{"log of no attempt", "GET", run + "/tasks/extract/log?attempt=7", "", 404, []string{`"field":"attempt"`}},

		{"commands", "GET", "/commands", "", 200, []string{`"state":"submitted"`}},
		{"alerts", "GET", "/alerts?instance=" + id.String(), "", 200, []string{`"items":[]`}},
		{"masters", "GET", "/nodes?role=master", "", 200, []string{`"name":"m1"`}},
		{"workers", "GET", "/nodes?role=worker", "", 200, []string{`"name":"w1"`}},
		{"datasources", "GET", "/datasources", "", 200, []string{`"items":[]`}},
		{"setting", "PUT", "/settings/retention", `{"value": "90d"}`, 200, []string{`"value":"90d"`}},
		{"setting of another kind", "PUT", "/settings/balance", `{"value": "random,spark=weighted"}`, 200, []string{`"value":"random,spark=weighted"`}},
		{"no strategy", "PUT", "/settings/balance", `{"value": "best"}`, 400, []string{`there are least_loaded, random, round_robin, weighted`}},
		{"setting comes back", "GET", "/settings/retention", "", 200, []string{`"value":"90d"`}},
		{"setting that makes no sense", "PUT", "/settings/retention", `{"value": "long"}`, 400, []string{`"field":"value"`}},
		{"setting unknown", "PUT", "/settings/colour", `{"value": "red"}`, 404, []string{`there are balance, lease, retention`}},
		{"state unknown", "GET", "/instances?state=odd", "", 400, []string{`one of submitted, queued, running`}},
		{"setting too short", "PUT", "/settings/retention", `{"value": "5s"}`, 400, []string{`between 1h and 3660d, such as 90d`}},
		{"setting without an end", "PUT", "/settings/retention", `{"value": "0s"}`, 200, []string{`"value":"0s"`}},
		{"lease too short", "PUT", "/settings/lease", `{"value": "100ms"}`, 400, []string{`"field":"value"`}},
		{"lease", "PUT", "/settings/lease", `{"value": "15s"}`, 200, []string{`"value":"15s"`, `"default":"10s"`}},
		{"settings", "GET", "/settings", "", 200, []string{`"key":"lease","value":"15s"`, `"key":"retention","value":"0s"`}},
		{"failovers", "GET", "/failovers", "", 200, []string{`"name":"dead"`, `"witness_name":"m1"`, `"reason":"its lease is over"`, `"runs":0`, `"done_at":"2`}},
		{"failovers too many", "GET", "/failovers?limit=501", "", 400, []string{`"field":"limit"`}},
		{"node", "GET", "/nodes/m1", "", 200, []string{`"role":"standalone"`, `"holding":0`}},
		{"no node", "GET", "/nodes/m7", "", 404, []string{`there is no node`}},
		{"drain of nobody", "POST", "/nodes/m7/drain", "", 404, []string{`baton get workers`}},
		{"drain of many", "POST", "/nodes/twin/drain", "", 409, []string{`2 nodes are called`, `(worker)`}},
		{"drain of an api", "POST", "/nodes/a1/drain", "", 400, []string{`role api`}},
		{"drain", "POST", "/nodes/w1/drain", "", 200, []string{`"state":"draining"`, `no other worker takes tasks of group gpu`}},
		{"drain again", "POST", "/nodes/w1/drain", "", 200, []string{`"state":"draining"`}},
		{"drained", "GET", "/nodes?role=worker", "", 200, []string{`"state":"draining"`}},
		{"drain of the only master", "POST", "/nodes/m1/drain", "", 200, []string{`no other master takes work`}},
		{"undrain of the only master", "POST", "/nodes/m1/undrain", "", 200, []string{`"state":"ready"`, `"warning":null`}},
		{"undrain", "POST", "/nodes/w1/undrain", "", 200, []string{`"state":"ready"`}},
		{"undrained", "GET", "/nodes/w1", "", 200, []string{`"state":"ready"`}},
		{"a lease that is too long", "PUT", "/settings/lease", `{"value": "1h"}`, 400, []string{`lease: 1h is out of range; between 1s and 10m`}},
		{"no setting", "GET", "/settings/colour", "", 404, nil},
		{"token", "POST", "/tokens", `{"name": "ci"}`, 201, []string{`"token":"baton_`}},

		{"verb on nothing", "POST", "/instances/99/pause", "", 404, nil},
		{"no route", "GET", "/nothing", "", 404, []string{`"code":"not_found"`}},
		{"no method", "DELETE", "/instances", "", 405, []string{`"code":"bad_request"`}},
	} {
		t.Run(s.name, func(t *testing.T) {
			one := *w
			one.t = t
			a := one.do(s.method, "/api/v1"+s.path, s.body)
			if a.status != s.status {
				t.Errorf("status %d, want %d: %s", a.status, s.status, a.body)
			}
			for _, part := range s.want {
				if !strings.Contains(a.body, part) {
					t.Errorf("answer lacks %s: %s", part, a.body)
				}
			}
			if a.status >= http.StatusBadRequest && !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
				t.Errorf("an error of type %q", a.header.Get("Content-Type"))
			}
		})
	}
}

func withResource(yaml, sum string) string {
	return strings.Replace(filesJSON("f.yaml", yaml), `"name":"f.yaml"`, `"name":"f.yaml","resources":[{"path":"a.sh","sha256":"`+sum+`"}]`, 1)
}

// nodes registers a worker of its own group, an api process, two workers of one name, and has a
// master declared dead.
func (w *world) nodes() {
	w.t.Helper()
	m := w.db.Master()
	register := func(n flow.Node) int64 {
		l, err := m.Register(w.t.Context(), n)
		if err != nil {
			w.t.Fatal(err)
		}
		return l.Incarnation
	}
	register(flow.Node{Role: flow.RoleWorker, Name: "w1", Home: "w1", Groups: []string{"gpu"}})
	register(flow.Node{Role: flow.RoleAPI, Name: "a1"})
	register(flow.Node{Role: flow.RoleWorker, Name: "twin", Home: "t1"})
	register(flow.Node{Role: flow.RoleWorker, Name: "twin", Home: "t2"})
	dead := register(flow.Node{Role: flow.RoleMaster, Name: "dead"})
	if _, err := m.Condemn(w.t.Context(), dead, w.lease.Incarnation, "its lease is over"); err != nil {
		w.t.Fatal(err)
	}
}
