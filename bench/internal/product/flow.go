// The workflows that are measured.

package product

import (
	"fmt"
	"strings"
)

// Flow is a workflow: tasks one after the other, or all at once between a first and a last one.
type Flow struct {
	Name  string
	Tasks int // in all
	Wide  bool
	Shell bool
	Sleep int // seconds, of each shell command; 0: it prints a word
	Waits int // each task waits, in turns for something else, from this kind on; 0: none does

	Schedules []string // as the file says them
}

// Chain is a workflow of n steps that do nothing, one after the other.
func Chain(name string, n int) Flow { return Flow{Name: name, Tasks: n} }

// Fan is a workflow of a first task, n that follow it, and one that joins them.
func Fan(name string, n int) Flow { return Flow{Name: name, Tasks: n + 2, Wide: true} }

// Shells is a workflow of n shell commands side by side.
func Shells(name string, n int) Flow { return Flow{Name: name, Tasks: n, Shell: true, Wide: true} }

// Sleeps is a workflow of n shell commands side by side that take some seconds.
func Sleeps(name string, n, seconds int) Flow {
	return Flow{Name: name, Tasks: n, Shell: true, Wide: true, Sleep: seconds}
}

// YAML is the workflow's file.
func (f Flow) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\n", f.Name)
	scheduleLines(&b, f.Schedules)
	b.WriteString("tasks:\n")
	for i := range f.Tasks {
		switch {
		case f.Waits > 0:
			fmt.Fprintf(&b, "  t%d: {%s}\n", i, waits[(f.Waits-1+i)%len(waits)])
		case f.Sleep > 0:
			fmt.Fprintf(&b, "  t%d: {run: sleep %d}\n", i, f.Sleep)
		case f.Shell:
			fmt.Fprintf(&b, "  t%d: {run: echo hello}\n", i)
		case i == 0:
			fmt.Fprintf(&b, "  t%d: {type: noop}\n", i)
		case !f.Wide:
			fmt.Fprintf(&b, "  t%d: {type: noop, needs: [t%d]}\n", i, i-1)
		case i < f.Tasks-1:
			fmt.Fprintf(&b, "  t%d: {type: noop, needs: [t0]}\n", i)
		default:
			fmt.Fprintf(&b, "  t%d:\n    type: noop\n    needs:\n", i)
			for j := 1; j < i; j++ {
				fmt.Fprintf(&b, "      - t%d\n", j)
			}
		}
	}
	return b.String()
}
