package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"baton/internal/api"
)

// What cannot be beside what is stored is refused at once, each fault where it stands; nothing is applied.
func TestApplyRefusesAllAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply("kind: Pool\nname: warehouse\nslots: 2\n---\nkind: Calendar\nname: rest\nholidays: [2026-10-01]\n---\nkind: Environment\nname: spark\n")
	pools := `name: one
schedules:
  - {every: 1h, calendar: rset}
tasks:
  a: {run: echo, pool: warehose}
  b:
    run: echo
    pool: {name: warehouse, slots: 3}
---
name: two
tasks:
  c: {run: echo, pool: {name: warehous}}
`
	want := []string{
		`3:27 schedule 1: its project has no calendar "rset"; apply it first, or in the same file; did you mean "rest"? [rest]`,
		`5:24 task a: project default has no pool "warehose"; apply it first, or in the same file; did you mean "warehouse"? [warehouse]`,
		`8:11 task b asks for 3 slots of pool warehouse, which has 2: it would wait for ever []`,
		`12:24 task c: project default has no pool "warehous"; apply it first, or in the same file; did you mean "warehouse"? [warehouse]`,
	}
	w.refused(pools, want)
	// Beside what the API finds itself.
	w.refused(pools+"---\nname: three\ntasks:\n  d: {run: echo, files: [nope.sh], environment: sprak}\n", append(want,
		`16:25 task d: resource "nope.sh" was not sent beside the file []`,
		`16:49 task d: there is no environment "sprak"; did you mean "spark"? [spark]`))
	var all api.List[api.Workflow]
	if w.get("/api/v1/workflows", &all); len(all.Items) > 0 {
		t.Errorf("applied: %+v", all.Items)
	}
}

func (w *world) refused(yaml string, want []string) {
	w.t.Helper()
	a := w.apply(yaml)
	var p api.Problem
	w.decode(a, &p)
	var got []string
	for _, e := range p.Errors {
		got = append(got, fmt.Sprintf("%d:%d %s [%s]", e.Line, e.Column, e.Message, e.Suggestion))
		if e.File != "orders.yaml" || e.Code != "invalid_file" {
			w.t.Errorf("%+v", e)
		}
	}
	if a.status != http.StatusUnprocessableEntity || !slices.Equal(got, want) {
		w.t.Errorf("%d:\n%q\nwant:\n%q", a.status, got, want)
	}
}
