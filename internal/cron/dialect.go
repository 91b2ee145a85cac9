// The choices a schedule makes: how its expression is read, and what daylight saving does to it.

package cron

import "strings"

// Dialect says how an expression is read. It is never guessed from the expression.
type Dialect string

// The dialects.
const (
	// Quartz has six or seven fields: second, minute, hour, day of month, month, day of week (1 is
	// sunday) and perhaps the year. Exactly one of the two day fields is ?.
	Quartz Dialect = "quartz"
	// Unix has five fields: minute, hour, day of month, month, day of week (0 and 7 are sunday).
	// When neither day field begins with *, a day that fits either one fires.
	Unix Dialect = "unix"
)

// ParseDialect reads a dialect; empty is Quartz.
func ParseDialect(word string) (Dialect, error) {
	return choice("dialect", word, Quartz, Unix)
}

// DST says what happens to a schedule when the clocks of its zone are changed.
//
// Shift and Skip tell two kinds apart. A schedule is elapsed when its hour field is * or holds a
// step; else it is fixed. An elapsed one fires at every instant whose local time fits: in both
// passes of a repeated hour, and at no local time that is left out. The modes below are about
// fixed ones, except DSTQuartz, which is about all.
type DST string

// The modes.
const (
	// Shift fires a local time once: at its first occurrence, or, when the clocks leave it out, at
	// the first instant after the gap, merged with whatever else fires then.
	Shift DST = "shift"
	// Skip is Shift, but a local time that is left out does not fire.
	Skip DST = "skip"
	// DSTQuartz does what Quartz does: a local time that is left out does not fire, and of a
	// repeated one only the second occurrence does.
	DSTQuartz DST = "quartz"
)

// ParseDST reads a mode; empty is Shift.
func ParseDST(word string) (DST, error) {
	return choice("dst", word, Shift, Skip, DSTQuartz)
}

// choice reads one of a few words; empty is the first.
func choice[T ~string](what, word string, valid ...T) (T, error) {
	if word == "" {
		return valid[0], nil
	}
	words := make([]string, len(valid))
	for i, v := range valid {
		if string(v) == word {
			return v, nil
		}
		words[i] = string(v)
	}
	return "", errorf("%s %q: there are %s", what, word, strings.Join(words, ", ")).suggesting(nearest(word, words))
}
