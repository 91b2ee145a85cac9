// The roles of a cluster as processes.

package harness

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Role starts a role as a process and ends it with the test. It returns the file of its log.
func Role(t testing.TB, dir, name string, args ...string) (log string) {
	t.Helper()
	log, _ = Process(t, dir, name, args...)
	return log
}

// Process is Role for who wants to know the process too.
func Process(t testing.TB, dir, name string, args ...string) (log string, pid int) {
	t.Helper()
	log = filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(Binary(t), append(args, "--name", name, "--data", filepath.Join(dir, name), "--log-format", "json")...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if b, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("the log of %s:\n%s", name, b)
		}
	})
	return log, cmd.Process.Pid
}

// Said waits until a log has a line with a message, and returns a field of it.
func Said(t testing.TB, log, message, field string) (value string) {
	t.Helper()
	Eventually(t, message, func() bool {
		b, err := os.ReadFile(log)
		if err != nil {
			return false
		}
		for line := range bytes.Lines(b) {
			var entry map[string]any
			if json.Unmarshal(line, &entry) == nil && entry["msg"] == message {
				value, _ = entry[field].(string)
				return true
			}
		}
		return false
	})
	return value
}
