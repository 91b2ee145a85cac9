// Package states writes docs/states.md from the transition tables of flow, and fails when the page
// and the tables differ.
package states

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"baton/internal/flow"
)

var update = flag.Bool("update", false, "write docs/states.md")

const page = "../../docs/states.md"

const intro = `# States

Made from ` + "`internal/flow/transition.go`" + ` by ` + "`make generate`" + `; do not edit. The same tables are the check in Go and the
guard in SQL (` + "`WHERE state IN (…)`" + `), so what is not here cannot be stored. What the states mean for a run is in
[semantics.md](semantics.md).
`

func TestPageIsWhatTheTablesSay(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	b.WriteString(intro)
	section(&b, "Workflow instance", flow.InstanceMachine)
	section(&b, "Task instance", flow.TaskMachine)
	section(&b, "Attempt", flow.AttemptMachine)
	if *update {
		if err := os.WriteFile(page, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Error("docs/states.md is not what the transition tables say; run: make generate")
	}
}

// section draws a machine and lists it: the picture for an overview, the table to look things up.
func section[S interface {
	~uint8
	fmt.Stringer
	Ended() bool
}](b *bytes.Buffer, title string, m *flow.Machine[S],
) {
	fmt.Fprintf(b, "\n## %s\n\n```mermaid\nstateDiagram-v2\n", title)
	ended := map[S]bool{}
	var order []S
	seen := map[S]bool{}
	see := func(s S) {
		if !seen[s] {
			seen[s] = true
			order = append(order, s)
		}
	}
	for _, t := range m.Transitions {
		for _, from := range t.From {
			see(from)
		}
		see(t.To)
	}
	drawn := map[[2]S]bool{}
	for _, t := range m.Transitions {
		for _, from := range t.From {
			if arrow := [2]S{from, t.To}; !drawn[arrow] {
				drawn[arrow] = true
				fmt.Fprintf(b, "    %s --> %s: %s\n", node(from), node(t.To), t.Event)
			}
		}
		if t.To.Ended() {
			ended[t.To] = true
		}
	}
	for _, s := range order {
		if ended[s] {
			fmt.Fprintf(b, "    %s --> [*]\n", node(s))
		}
	}
	b.WriteString("```\n\n| event | from | to |\n|---|---|---|\n")
	for _, t := range m.Transitions {
		from := make([]string, len(t.From))
		for i, f := range t.From {
			from[i] = name(f)
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", t.Event, strings.Join(from, ", "), name(t.To))
	}
}

// name is what answers say; the attempt that is not there yet has none.
func name(s fmt.Stringer) string {
	if text := s.String(); text != "" {
		return "`" + text + "`"
	}
	return "(none)"
}

func node(s fmt.Stringer) string {
	if text := s.String(); text != "" {
		return text
	}
	return "[*]"
}
