// Words that say a day is worked.

package ical

import "strings"

var (
	workedWords = []string{"班", "workday", "work day", "working day"}
	// negations stand right before such a word: a non-working day rests.
	negations = []string{"non", "non-", "non ", "not a ", "no ", "不", "不上", "无需上"}
)

// saysWorked tells whether a name, such as 上班(补春节假期), 国庆节（班） or "Make-up workday", says that
// its day is worked.
func saysWorked(name string) bool {
	name = strings.ToLower(name)
	for _, word := range workedWords {
		for at := 0; ; {
			i := strings.Index(name[at:], word)
			if i < 0 {
				break
			}
			if !negated(name[:at+i]) {
				return true
			}
			at += i + len(word)
		}
	}
	return false
}

func negated(before string) bool {
	for _, n := range negations {
		if strings.HasSuffix(before, n) {
			return true
		}
	}
	return false
}
