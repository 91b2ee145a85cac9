// Setup: a script that is sourced before a process, so that what it exports reaches it.

package task

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Setup is the script of an environment, in a file of its own: an error in it is told with its own lines, and the lines
// of the task's script stay what they are.
type Setup struct {
	File string   // shell text
	Keep []string // variables of the task itself, which the script does not change for it
}

var (
	settable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// shellsOwn are set by shells themselves, some of them read-only.
	shellsOwn = []string{"_", "PWD", "OLDPWD", "SHLVL", "IFS", "PPID", "UID", "EUID", "GID", "SHELLOPTS", "BASHOPTS", "OPTIND", "LINENO", "RANDOM", "SECONDS"}
)

// Line is the beginning of a line of shell that sources the script; something has to follow. It is one line without an
// end, so that a task's script behind it keeps its line numbers. What is to be kept is put back where the script changed
// it, also when that ended by `return`; the rest is as if its text stood here: cd, set -e and functions last, exit ends the
// attempt.
func (s *Setup) Line() string {
	var before, after strings.Builder
	n := 0
	for _, name := range s.Keep {
		if !settable.MatchString(name) || slices.Contains(shellsOwn, name) {
			continue
		}
		n++
		fmt.Fprintf(&before, "_baton_%d=$%s; ", n, name)
		// Not touched where it is the same: some shells have read-only variables of usual names.
		fmt.Fprintf(&after, `[ "$_baton_%d" = "${%s-}" ] || export %[2]s="$_baton_%[1]d"; unset _baton_%[1]d; `, n, name)
	}
	return before.String() + ". " + quote(s.File) + "; " + after.String()
}

// Around is a command that sources the script and becomes the command given: for processes that are no shell. Args[0]
// without a slash is looked up in the PATH that the script leaves.
func (s *Setup) Around(args []string) []string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quote(a) // not "$@", which the script could set
	}
	return []string{"/bin/sh", "-c", s.Line() + "exec " + strings.Join(quoted, " "), "environment"}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
