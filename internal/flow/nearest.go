// The nearest valid name to one that is unknown, for "did you mean".

package flow

import (
	"strings"
	"unicode/utf8"
)

// maxSuggest bounds the names compared, so that an error in a huge workflow stays cheap.
const maxSuggest = 1000

// Nearest returns the valid name with the least edit distance to name, "" when
// none is near: more than a third of the longer name differs.
func Nearest(name string, valid []string) string {
	if len(name) > 256 {
		return ""
	}
	a := []rune(strings.ToLower(name))
	best, bestDistance := "", len(a)+1
	for i, v := range valid {
		if i == maxSuggest {
			break
		}
		if len(v) > 512 {
			continue
		}
		limit := max(len(a), utf8.RuneCountInString(v), 3) / 3
		d := EditDistance(a, []rune(strings.ToLower(v)))
		if d <= limit && (d < bestDistance || d == bestDistance && v < best) {
			best, bestDistance = v, d
		}
	}
	return best
}

// EditDistance counts the insertions, deletions, replacements and swaps of neighbours that lead from
// a to b.
func EditDistance(a, b []rune) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
