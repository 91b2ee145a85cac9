package spec_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"baton/internal/flow"
	"baton/internal/spec"
	"baton/internal/task"
	"baton/internal/task/all"
)

func compiled(t testing.TB, set *task.Set) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(spec.JSONSchema(set)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("baton.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("baton.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asValues reads YAML documents as an editor would.
func asValues(t testing.TB, content []byte) []any {
	var docs []any
	content = bytes.Replace(content, []byte("%YAML 1.2"), []byte("%YAML 1.1"), 1) // the library knows itself only
	if err := yaml.Load(content, &docs, yaml.WithAllDocuments()); err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	for i := range docs {
		b, err := json.Marshal(docs[i])
		if err != nil {
			t.Fatal(err)
		}
		if docs[i], err = jsonschema.UnmarshalJSON(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	}
	return docs
}

// TestSchemaAcceptsWhatParseAccepts holds every good file against the schema, with the types of the
// tests and with those that ship, and then files made at random.
func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	t.Parallel()
	files := slices.Concat(goodFiles(t), examples(t))
	for _, set := range []*task.Set{types, task.NewSet(all.Types()...)} {
		s := compiled(t, set)
		for _, f := range files {
			if _, errs := spec.Parse([]spec.Source{f}, set, spec.Defaults{}); len(errs) > 0 {
				continue
			}
			for _, v := range asValues(t, f.Content) {
				if err := s.Validate(v); err != nil {
					t.Errorf("%s: %v", f.Name, err)
				}
			}
		}
	}
	s := compiled(t, types)
	rapid.Check(t, func(rt *rapid.T) {
		file, err := spec.Export(flow.Document{Workflow: workflow(rt)})
		if err != nil {
			rt.Fatal(err)
		}
		for _, v := range asValues(t, file) {
			if err := s.Validate(v); err != nil {
				rt.Fatalf("%v\n%s", err, file)
			}
		}
	})
}

// TestSchemaRefuses shows that the schema is not simply permissive.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := compiled(t, types)
	for _, file := range []string{
		"name: w",
		"name: w\ntasks: {}",
		"name: w\nsteps: {a: {run: x}}",
		"name: w\ntriggers: [{name: t, notify: {datasource: d}}]\ntasks: {a: {run: x}}",
		"name: w\ntasks: {a: {}}",
		"name: w\ntasks: {a: {run: x, shards: {total: 3}}}",
		"name: w\ntasks: {a: {type: shel, with: {script: x}}}",
		"name: w\ntasks: {a: {type: http, with: {ulr: x}}}",
		"name: w\ntasks: {a: {type: http}}",
		"name: w\ntasks: {a: {type: switch, with: {default: [b]}}}",
		"name: w\ntasks: {a: {run: x, priority: urgent}}",
		"name: w\ntasks: {a: {run: x, delay: 30}}",
		"name: w\ntasks: {a: {run: x, compensate: {run: x, needs: [b]}}}",
		"name: w\ntasks: {a: {type: switch, env: {A: b}, with: {cases: [{when: x, to: []}]}}}",
		"kind: Project\nname: p\ntasks: {}",
		"kind: DataSource\nname: p",
		"kind: Queue\nname: p",
	} {
		for _, v := range asValues(t, []byte(file)) {
			if s.Validate(v) == nil {
				t.Errorf("accepted:\n%s", file)
			}
		}
	}
}

// TestSchemaDescribes demands a description of every key.
func TestSchemaDescribes(t *testing.T) {
	t.Parallel()
	var schema any
	if err := json.Unmarshal(spec.JSONSchema(types), &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if props, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
				for k, p := range props {
					if d, _ := p.(map[string]any)["description"].(string); d == "" {
						t.Errorf("%s.%s has no description", path, k)
					}
				}
			}
			for k, x := range v {
				walk(path+"/"+k, x)
			}
		case []any:
			for _, x := range v {
				walk(path, x)
			}
		}
	}
	walk("", schema)
}
