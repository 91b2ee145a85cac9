package cli

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// docs/cli.md knows every command: in a line that names the command above it too.
func TestEveryCommandIsInTheDocs(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	checked := 0
	var walk func(above []string, c *cobra.Command)
	walk = func(above []string, c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Hidden || sub.Name() == "help" {
				continue
			}
			names := append(slices.Clip(above), sub.Name())
			if !told(lines, names) {
				t.Errorf("docs/cli.md does not tell of `baton %s`", strings.Join(names, " "))
			}
			checked++
			if sub.Name() != "completion" { // its shells are told of in its own help
				walk(names, sub)
			}
		}
	}
	walk(nil, (&app{}).root())
	if checked < 40 {
		t.Errorf("only %d commands found", checked)
	}
}

// told tells whether a line has all names as words of code.
func told(lines []string, names []string) bool {
	for _, line := range lines {
		all := true
		for _, name := range names {
			all = all && regexp.MustCompile("`[^`]*\\b"+regexp.QuoteMeta(name)+"\\b[^`]*`").MatchString(line)
		}
		if all {
			return true
		}
	}
	return false
}
