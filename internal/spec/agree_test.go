package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"baton/internal/engine"
	"baton/internal/flow"
	"baton/internal/spec"
	"baton/internal/task"
	"baton/internal/task/all"
)

// TestEngineTakesWhatParseAccepts compiles every good workflow, with the types that ship, into a plan:
// a file that is accepted must not fail when it runs.
func TestEngineTakesWhatParseAccepts(t *testing.T) {
	t.Parallel()
	set := task.NewSet(all.Types()...)
	for _, s := range goodFiles(t) {
		docs, errs := spec.Parse([]spec.Source{s}, set, spec.Defaults{})
		if len(errs) > 0 {
			continue
		}
		for _, d := range docs {
			planned(t, d, set)
		}
	}
}

// planned demands that the engine can run what Parse accepted.
func planned(t fataler, d flow.Document, set *task.Set) {
	t.Helper()
	if d.Workflow == nil {
		return
	}
	def := flow.Definition{Project: d.Workflow.Project, Name: d.Workflow.Name, Version: 1, Workflow: *d.Workflow}
	if _, err := engine.Compile(def, set); err != nil {
		t.Fatalf("%s: %v", d.File, err)
	}
}

// TestExamplesAreAccepted parses the examples of the repository, exports them and reads them back.
func TestExamplesAreAccepted(t *testing.T) {
	t.Parallel()
	set := task.NewSet(all.Types()...)
	for _, example := range examples(t) {
		docs, errs := spec.Parse([]spec.Source{example}, set, spec.Defaults{})
		for _, e := range errs {
			t.Error(e)
		}
		for _, d := range docs {
			file, err := spec.Export(d)
			if err != nil {
				t.Fatal(err)
			}
			again, errs := spec.Parse([]spec.Source{{Name: "export.yaml", Content: file}}, set, spec.Defaults{})
			if len(errs) > 0 || len(again) != 1 {
				t.Fatalf("%v\n%s", errs, file)
			}
			if c := spec.DiffDocuments(d, again[0]); len(c) > 0 {
				t.Errorf("%s\n%s", spec.Render(c), file)
			}
			for _, r := range spec.Resources(d) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(example.Name), r)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func goodFiles(t *testing.T) []spec.Source {
	var out []spec.Source
	for _, name := range append(archives(t), "testdata/hosted/fan.txtar") {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sources(a) {
			s.Name = strings.TrimSuffix(filepath.Base(name), ".txtar") + "/" + s.Name
			out = append(out, s)
		}
	}
	return out
}

// examples are the workflow files of the repository.
func examples(t *testing.T) []spec.Source {
	names, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no examples", err)
	}
	var out []spec.Source
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, spec.Source{Name: name, Content: content})
	}
	return out
}
