package spec_test

import (
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/spec"
)

func TestSetupLimit(t *testing.T) {
	t.Parallel()
	_, errs := parse("kind: Environment\nname: e\nscript: " + strings.Repeat("x", flow.MaxSetup+1))
	if len(errs) != 1 || errs[0].Line != 3 || !strings.Contains(errs[0].Message, "the script has 65537 bytes, and at most 65536") {
		t.Fatal(errs)
	}
}

// Whoever runs a process has an environment: the task's own, else that of the start, else the workflow's.
func TestEnvironmentsOfAWorkflow(t *testing.T) {
	t.Parallel()
	docs, errs := parse(`
name: w
environment: usual
worker_group: dw
tasks:
  own: {run: x, environment: spark3, worker_group: spark}
  plain: {run: x}
  call: {type: http, with: {url: "http://x"}}
  undone: {type: http, with: {url: "http://x"}, compensate: {run: y}}
  pick: {type: switch, with: {cases: [{when: "true", to: next}]}}
  next: {type: python, with: {script: x}}
`)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		start flow.Start
		want  string // task, environment and group of each
	}{
		{flow.Start{}, "/usual/ own/spark3/spark plain/usual/dw undone/usual/dw next/usual/dw"},
		{flow.Start{Environment: "test", WorkerGroup: "spare"}, "/test/ /usual/ own/spark3/spark plain/test/spare undone/test/spare next/test/spare"},
	} {
		var got []string
		for _, u := range spec.Environments(docs[0].Workflow, c.start, types) {
			got = append(got, u.Task+"/"+u.Environment+"/"+u.Group)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("got %v, want %s", got, c.want)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	s := spec.Source{Name: "a.yaml", Content: []byte("kind: Environment\nname: w\n---\nname: w\nenvironment: usual\ntasks:\n  b: {run: x}\n  每日:\n    run: x\n    environment: spark3\n")}
	w := flow.Document{Workflow: &flow.Workflow{Name: "w"}}
	for _, c := range []struct {
		doc          flow.Document
		path         string
		line, column int
	}{
		{w, "", 4, 1},
		{w, "environment", 5, 14},
		{w, "tasks.每日.environment", 10, 18},
		{w, "tasks.b.environment", 7, 6},
		{flow.Document{Environment: &flow.Environment{Name: "w"}}, "name", 2, 7},
		{flow.Document{Workflow: &flow.Workflow{Name: "other"}}, "", 0, 0},
	} {
		if line, column := spec.Place(s, c.doc, strings.Split(c.path, ".")...); line != c.line || column != c.column {
			t.Errorf("%s: %d:%d, want %d:%d", c.path, line, column, c.line, c.column)
		}
	}
}
