package spec_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"baton/internal/flow"
	"baton/internal/spec"
	"baton/internal/task"
	"baton/internal/task/all"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestParse reads every testdata/*.txtar: YAML files and, in `want`, the errors as people see them or
// the documents.
func TestParse(t *testing.T) {
	t.Parallel()
	parseArchives(t, archives(t), types)
}

// TestParseHosted is the same with the types that ship, for those that the engine runs itself.
func TestParseHosted(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/hosted/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	parseArchives(t, names, task.NewSet(all.Types()...))
}

func parseArchives(t *testing.T, names []string, types *task.Set) {
	t.Helper()
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			docs, errs := spec.Parse(sources(a), types, spec.Defaults{})
			got := show(t, docs, errs)
			for i, f := range a.Files {
				if f.Name != "want" {
					continue
				}
				if !*update && string(f.Data) != got {
					t.Errorf("got:\n%s\nwant:\n%s", got, f.Data)
				}
				a.Files[i].Data = []byte(got)
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func archives(t testing.TB) []string {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	return names
}

func sources(a *txtar.Archive) []spec.Source {
	var out []spec.Source
	for _, f := range a.Files {
		if strings.HasSuffix(f.Name, ".yaml") {
			out = append(out, spec.Source{Name: f.Name, Content: f.Data})
		}
	}
	return out
}

// show prints what Parse gave.
func show(t testing.TB, docs []flow.Document, errs flow.Errors) string {
	var b strings.Builder
	for _, e := range errs {
		fmt.Fprintln(&b, e.Error())
		fmt.Fprintf(&b, "\t%s", e.Code)
		if e.Field != "" {
			fmt.Fprintf(&b, " at %s", e.Field)
		}
		if e.Suggestion != "" {
			fmt.Fprintf(&b, ", perhaps %s", e.Suggestion)
		}
		b.WriteByte('\n')
	}
	for _, d := range docs {
		b.WriteString(asJSON(t, d))
	}
	return b.String()
}

func asJSON(t testing.TB, d flow.Document) string {
	var v any = d.Workflow
	switch {
	case d.Project != nil:
		v = d.Project
	case d.DataSource != nil:
		v = d.DataSource
	case d.Calendar != nil:
		v = d.Calendar
	case d.Environment != nil:
		v = d.Environment
	case d.WorkerGroup != nil:
		v = d.WorkerGroup
	case d.Pool != nil:
		v = d.Pool
	case len(d.Workflow.Schedules) > 0:
		v = struct {
			*flow.Workflow
			Schedules []flow.Schedule `json:"schedules"`
		}{d.Workflow, d.Workflow.Schedules}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
