package spec_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"baton/internal/flow"
	"baton/internal/spec"
)

func compiled(t testing.TB) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(spec.JSONSchema(types)))
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

// TestSchemaAcceptsWhatParseAccepts holds every good file against the schema.
func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	for _, name := range archives(t) {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range sources(a) {
			if _, errs := spec.Parse([]spec.Source{src}, types, spec.Defaults{}); len(errs) > 0 {
				continue
			}
			for _, v := range asValues(t, src.Content) {
				if err := s.Validate(v); err != nil {
					t.Errorf("%s %s: %v", name, src.Name, err)
				}
			}
		}
	}
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
	s := compiled(t)
	for _, file := range []string{
		"name: w",
		"name: w\ntasks: {}",
		"name: w\nsteps: {a: {run: x}}",
		"name: w\nschedules: []\ntasks: {a: {run: x}}",
		"name: w\ntasks: {a: {}}",
		"name: w\ntasks: {a: {run: x, shards: {total: 3}}}",
		"name: w\ntasks: {a: {type: shel, with: {script: x}}}",
		"name: w\ntasks: {a: {type: http, with: {ulr: x}}}",
		"name: w\ntasks: {a: {type: http}}",
		"name: w\ntasks: {a: {type: switch, with: {default: [b]}}}",
		"name: w\ntasks: {a: {run: x, priority: urgent}}",
		"name: w\ntasks: {a: {run: x, delay: 30}}",
		"name: w\ntasks: {a: {run: x, compensate: {run: x, needs: [b]}}}",
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
