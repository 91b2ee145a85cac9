// Finding the program of a process before the supervisor starts it, so that a missing one is told
// in words rather than as exit code 127.

package task

import (
	"os"
	"path/filepath"
	"strings"
)

// CauseNotInstalled is the cause of an attempt whose program the worker does not have.
const CauseNotInstalled = "not_installed"

// FindProgram returns the path of a program in the search path of the attempt: PATH of env, else
// of the worker. A name with a slash is taken as it is. ok is false when there is no such
// executable file.
func FindProgram(name string, env map[string]string) (path string, ok bool) {
	if strings.ContainsRune(name, '/') {
		return name, executable(name)
	}
	for _, dir := range SearchPath(env) {
		if path := filepath.Join(dir, name); executable(path) {
			return path, true
		}
	}
	return "", false
}

// SearchPath returns the folders programs are looked up in. Relative ones are left out: they would
// mean the work folder, whose files the task itself may have written.
func SearchPath(env map[string]string) []string {
	path, set := env["PATH"]
	if !set {
		path = os.Getenv("PATH") // the worker's own; the process inherits it
	}
	var dirs []string
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
