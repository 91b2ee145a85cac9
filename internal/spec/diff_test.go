package spec_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"baton/internal/flow"
	"baton/internal/spec"
)

// TestDiff reads testdata/diff/*.txtar: before.yaml, after.yaml and what people are shown.
func TestDiff(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/diff/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var versions []*flow.Workflow
		for _, s := range sources(a) {
			docs, errs := spec.Parse([]spec.Source{s}, types, spec.Defaults{})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			versions = append(versions, docs[0].Workflow)
		}
		got := spec.Render(spec.Diff(versions[0], versions[1]))
		if same := spec.Diff(versions[0], versions[0]); len(same) > 0 {
			t.Errorf("%s: differs from itself: %v", name, same)
		}
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
		if !*update {
			if diff := cmp.Diff(string(a.Files[i].Data), got); diff != "" {
				t.Error(diff)
			}
			continue
		}
		a.Files[i].Data = []byte(got)
		if err := os.WriteFile(name, txtar.Format(a), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDiffOfFileContents(t *testing.T) {
	t.Parallel()
	docs, errs := parse("name: w\ntasks: {a: {run: x, files: [etl/x.sh, y], compensate: {run: y, files: [z]}}}")
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got, want := spec.Resources(docs[0]), []string{"etl/x.sh", "y", "z"}; !slices.Equal(got, want) {
		t.Errorf("resources %v, want %v", got, want)
	}
	other, _ := parse("name: w\ntasks: {a: {run: x, files: [etl/x.sh, y], compensate: {run: y, files: [z]}}}")
	spec.EachFile(docs[0], func(_, _ string, f *flow.File) { f.SHA256 = "aaaaaaaaaaaaaaaaaaaa" })
	spec.EachFile(other[0], func(_, _ string, f *flow.File) { f.SHA256 = "aaaaaaaaaaaaaaaaaaaa" })
	if c := spec.Diff(docs[0].Workflow, other[0].Workflow); len(c) > 0 {
		t.Error(c)
	}
	other[0].Workflow.Tasks[0].Files[0].SHA256 = "bbbbbbbbbbbbbbbbbbbb"
	got := spec.Render(spec.Diff(docs[0].Workflow, other[0].Workflow))
	if want := "~ tasks.a.files[\"etl/x.sh\"]: sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDiffOfOtherKinds(t *testing.T) {
	t.Parallel()
	docs, errs := parse("kind: DataSource\nname: d\ntype: mysql\nhost: a\npassword: {env: P}\n---\nkind: DataSource\nname: e\ntype: mysql\nhost: b\n")
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	got := spec.Render(spec.DiffDocuments(docs[0], docs[1]))
	if want := "~ name: d → e\n~ host: a → b\n- password: {env: P}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDiffOfNothing(t *testing.T) {
	t.Parallel()
	docs, _ := parse("name: w\ntasks: {a: {run: x}}")
	w := docs[0].Workflow
	for _, c := range []struct {
		before, after *flow.Workflow
		want          string
	}{
		{nil, nil, ""},
		{nil, w, "+ workflow:\n    + kind: Workflow\n    + project: default\n    + name: w\n    + tasks:\n    +   a:\n    +     run: x\n"},
		{w, nil, "- workflow:\n    - kind: Workflow\n    - project: default\n    - name: w\n    - tasks:\n    -   a:\n    -     run: x\n"},
	} {
		if got := spec.Render(spec.Diff(c.before, c.after)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
