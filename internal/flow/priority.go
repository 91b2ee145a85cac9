// Priorities: what goes first of what is ready at the same moment.

package flow

import (
	"fmt"
	"strings"
)

// Priority orders what is eligible at the same moment; a smaller number goes first. Zero means
// "not said here": the level above decides, medium in the end.
type Priority uint8

// The five levels.
const (
	PriorityHighest Priority = 1
	PriorityHigh    Priority = 2
	PriorityMedium  Priority = 3
	PriorityLow     Priority = 4
	PriorityLowest  Priority = 5
)

var priorityNames = [...]string{"", "highest", "high", "medium", "low", "lowest"}

func (p Priority) String() string { return stateName(priorityNames[:], uint8(p)) }

// MarshalText writes the name.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name; "" is zero.
func (p *Priority) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = 0
		return nil
	}
	v, err := ParsePriority(string(b))
	*p = v
	return err
}

// ParsePriority reads a level's name.
func ParsePriority(s string) (Priority, error) {
	for i, n := range priorityNames {
		if n == s && i > 0 {
			return Priority(i), nil
		}
	}
	return 0, &Error{Code: CodeBadRequest, Field: "priority", Message: fmt.Sprintf("%q is no priority; one of %s", s, strings.Join(priorityNames[1:], ", "))}
}

// Or returns p, or q where p is not said.
func (p Priority) Or(q Priority) Priority {
	if p != 0 {
		return p
	}
	return q
}
