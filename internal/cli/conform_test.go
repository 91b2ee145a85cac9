package cli

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"
)

const contractFile = "../../docs/openapi.json"

// schemas compiles the objects of the published document, once each.
var schemas struct {
	sync.Mutex
	compiler *jsonschema.Compiler
}

func schemaOf(name string) (*jsonschema.Schema, error) {
	schemas.Lock()
	defer schemas.Unlock()
	if schemas.compiler == nil {
		raw, err := os.Open(contractFile)
		if err != nil {
			return nil, err
		}
		defer raw.Close()
		doc, err := jsonschema.UnmarshalJSON(raw)
		if err != nil {
			return nil, err
		}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		if err := c.AddResource("openapi.json", doc); err != nil {
			return nil, err
		}
		schemas.compiler = c
	}
	return schemas.compiler.Compile("openapi.json#/components/schemas/" + name)
}

// conforms SCHEMA [stdout|stderr] [MEMBER] holds the last answer, or a member of it, against the
// published document.
func conforms(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: conforms SCHEMA [stdout|stderr] [MEMBER]")
	}
	schema, err := schemaOf(args[0])
	ts.Check(err)
	from := "stdout"
	if len(args) > 1 {
		from = args[1]
	}
	answer, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(from)))
	ts.Check(err)
	if len(args) > 2 {
		answer = answer.(map[string]any)[args[2]]
	}
	if err := schema.Validate(answer); err != nil {
		ts.Fatalf("%v", err)
	}
}

// speaksOtherwise are commands whose answers are no objects of the API.
var speaksOtherwise = []string{
	"logs", "export", "schema", "openapi", "param eval", "cron next", "dependent windows", "calendar convert", "standalone", "master", "api", "worker", "migrate up", "migrate status", "admin token create", "version", "doctor",
	"completion bash", "completion zsh", "completion fish", "completion powershell", "help",
}

// A command that is added is added to the script too.
func TestEveryAnswerIsHeldAgainstTheContract(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/server/json.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := (&app{load: loadConfig}).root()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			visit(child)
		}
		name := called(c)
		if c == root || c.Hidden || c.HasAvailableSubCommands() || slices.Contains(speaksOtherwise, name) {
			return
		}
		called := regexp.MustCompile(`(?m)^!? ?exec baton ` + regexp.QuoteMeta(name) + ` .*-o json\n+conforms `)
		if !called.Match(raw) {
			t.Errorf("json.txtar does not hold `baton %s -o json` against the contract", name)
		}
	}
	visit(root)
}

// The test must be able to fail.
func TestConformityBites(t *testing.T) {
	t.Parallel()
	schema, err := schemaOf("Version")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{`{}`, `{"version": 1}`} {
		var v any
		if err := json.Unmarshal([]byte(wrong), &v); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s is taken for a Version", wrong)
		}
	}
}
