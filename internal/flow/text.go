// Text from outside, made safe at the boundary.

package flow

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a task may hand back and an instance may hold, in bytes.
const (
	MaxOutputsPerTask     = 64 << 10
	MaxOutputsPerInstance = 1 << 20
	MaxReason             = 1 << 10
	MaxName               = 128 // characters
	MaxTasks              = 10_000
	MaxItems              = 10_000  // of a map
	MaxRounds             = 1_000   // of a loop
	MaxFile               = 8 << 20 // one YAML document set
	MaxResource           = 8 << 20 // one file beside it
)

// Text makes s storable in every database: valid UTF-8, no NUL, at most limit bytes (cut at a
// rune). PostgreSQL refuses the rest, and one refused row would fail a whole group commit.
func Text(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		for len(s) > 0 {
			r, n := utf8.DecodeLastRuneInString(s)
			if r != utf8.RuneError || n != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// CheckName tells whether s may name a project, workflow or task: 1 to 128 characters, no "/",
// no control characters, no space at either end. The caller has put it into NFC.
func CheckName(s string) *Error {
	switch {
	case s == "":
		return Errorf(CodeBadRequest, "name", "a name must not be empty")
	case !utf8.ValidString(s):
		return Errorf(CodeBadRequest, "name", "a name must be valid UTF-8")
	case utf8.RuneCountInString(s) > MaxName:
		return Errorf(CodeBadRequest, "name", "a name has at most %d characters, this one has %d", MaxName, utf8.RuneCountInString(s))
	case strings.TrimSpace(s) != s:
		return Errorf(CodeBadRequest, "name", "name %q begins or ends with a space", s)
	}
	for _, r := range s {
		if r == '/' || unicode.IsControl(r) {
			return Errorf(CodeBadRequest, "name", "name %q holds %q; a name is any text without / and control characters", s, r)
		}
	}
	return nil
}
