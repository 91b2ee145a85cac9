// The nearest valid name to a wrong one.

package spec

import (
	"strings"
	"unicode/utf8"

	"baton/internal/flow"
)

const suggestBudget = 50_000 // names compared in one Parse

// nearest returns the valid name with the least edit distance, "" when none is near: more than a
// third of the longer name would have to change.
func (p *problems) nearest(name string, valid []string) string {
	if len(name) > 256 || name == "" {
		return ""
	}
	a := []rune(strings.ToLower(name))
	best, least := "", len(a)+1
	for _, v := range valid {
		if p.budget <= 0 {
			break
		}
		p.budget--
		n := utf8.RuneCountInString(v)
		limit := max(len(a), n, 3) / 3
		if n-len(a) > limit || len(a)-n > limit {
			continue
		}
		if d := flow.EditDistance(a, []rune(strings.ToLower(v))); d <= limit && d < least {
			best, least = v, d
		}
	}
	return best
}
