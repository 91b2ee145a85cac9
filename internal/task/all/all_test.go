package all

import (
	"encoding/json"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/task"
)

// What every type owes its users and the code around it.
func TestTypes(t *testing.T) {
	t.Parallel()
	set := task.NewSet(Types()...)
	for _, kind := range set.All() {
		t.Run(kind.Name(), func(t *testing.T) {
			t.Parallel()
			_, process := kind.(task.Process)
			_, function := kind.(task.Function)
			if decided := kind.Name() == flow.TypeSwitch || kind.Name() == flow.TypeConditions || flow.Hosted(kind.Name()); process == function && !decided || decided && (process || function) {
				t.Errorf("process %v, function %v", process, function)
			}
			schema := kind.Schema()
			if !strings.HasSuffix(schema.Description, ".") {
				t.Errorf("the description is no sentence: %q", schema.Description)
			}
			seen := map[string]bool{}
			for _, o := range schema.Options {
				if seen[o.Name] || o.Kind == "" {
					t.Errorf("option %q is there twice or has no kind", o.Name)
				}
				seen[o.Name] = true
				if !strings.HasSuffix(o.Description, ".") && !strings.HasSuffix(o.Description, "…") && !strings.HasSuffix(o.Description, ").") {
					t.Errorf("the description of %q is no sentence: %q", o.Name, o.Description)
				}
				if o.Required && o.Default != "" {
					t.Errorf("option %q is required and has a default", o.Name)
				}
				if o.Default == "" {
					continue
				}
				quoted, _ := json.Marshal(o.Default)
				options := json.RawMessage(`{"` + o.Name + `": ` + string(quoted) + `}`)
				for _, e := range schema.Check(options) {
					if e.Field == o.Name {
						t.Errorf("the default does not fit: %v", e)
					}
				}
			}
			if _, err := json.Marshal(schema.JSONSchema()); err != nil {
				t.Error(err)
			}
			kind.Check(nil) // must not panic on nothing, nor on garbage
			kind.Check(json.RawMessage(`[1`))
		})
	}
}
