// Differences as people read them in a terminal.

package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Render prints changes, a line for each: "~ tasks.load.retry.times: 3 → 5", "+ tasks.check: {…}",
// "- tasks.old: …". Texts of several lines are shown line by line below their path.
func Render(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		path := c.Path
		if path == "" {
			path = "workflow"
		}
		long := strings.Contains(c.Before, "\n") || strings.Contains(c.After, "\n")
		switch {
		case c.Op == Moved:
			fmt.Fprintf(&b, "~ %s: order: %s → %s\n", path, c.Before, c.After)
		case c.Op == Added && !long:
			fmt.Fprintf(&b, "+ %s: %s\n", path, c.After)
		case c.Op == Removed && !long:
			fmt.Fprintf(&b, "- %s: %s\n", path, c.Before)
		case c.Op == Changed && !long:
			fmt.Fprintf(&b, "~ %s: %s → %s\n", path, c.Before, c.After)
		default:
			fmt.Fprintf(&b, "%s %s:\n", map[Op]string{Added: "+", Removed: "-", Changed: "~"}[c.Op], path)
			for _, l := range lineDiff(lines(c.Before), lines(c.After)) {
				b.WriteString("    " + strings.TrimRight(l, " ") + "\n")
			}
		}
	}
	return b.String()
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// context is how many unchanged lines stand around a changed one.
const context = 3

// lineDiff marks lines with +, - and space, and leaves out what is far from any change.
func lineDiff(before, after []string) []string {
	all := edit(before, after)
	near := make([]bool, len(all))
	for i, l := range all {
		if l[0] == ' ' {
			continue
		}
		for j := max(0, i-context); j <= min(len(all)-1, i+context); j++ {
			near[j] = true
		}
	}
	var out []string
	for i, l := range all {
		switch {
		case near[i]:
			out = append(out, l)
		case i == 0 || near[i-1]:
			out = append(out, "…")
		}
	}
	return out
}

// edit is the shortest way from one text to the other by whole lines. Two very long texts are shown
// as one replaced by the other, since finding the way costs their product.
func edit(a, b []string) []string {
	const most = 4_000_000
	var out []string
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		out = append(out, "  "+a[head])
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	rest := a[len(a)-tail:]
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	i, j := 0, 0
	if len(a)*len(b) <= most {
		common := longest(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, "  "+a[i])
				i, j = i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				out = append(out, "- "+a[i])
				i++
			default:
				out = append(out, "+ "+b[j])
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		out = append(out, "- "+a[i])
	}
	for ; j < len(b); j++ {
		out = append(out, "+ "+b[j])
	}
	for _, l := range rest {
		out = append(out, "  "+l)
	}
	return out
}

// longest holds the length of the longest common part of a[i:] and b[j:].
func longest(a, b []string) [][]int32 {
	cells := make([]int32, (len(a)+1)*(len(b)+1))
	t := make([][]int32, len(a)+1)
	for i := range t {
		t[i] = cells[i*(len(b)+1) : (i+1)*(len(b)+1)]
	}
	for i, v := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if v == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}
