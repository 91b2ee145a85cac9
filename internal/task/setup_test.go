package task

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shells are those of this machine that read what /bin/sh reads.
func shells() []string {
	return slices.DeleteFunc([]string{"sh", "dash", "bash", "zsh", "ksh", "mksh", "busybox sh"}, func(s string) bool {
		_, err := exec.LookPath(strings.Fields(s)[0])
		return err != nil
	})
}

// sourced runs a script behind a setup.
func sourced(t *testing.T, shell, setup, script string, keep ...string) (string, error) {
	t.Helper()
	s := Setup{File: filepath.Join(t.TempDir(), "it's 17.environment"), Keep: keep}
	if err := os.WriteFile(s.File, []byte(setup), 0o600); err != nil {
		t.Fatal(err)
	}
	words := append(strings.Fields(shell), "-c", s.Line()+script)
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "day=it's \"2026\"\n$(x)", "OWN=task", "UID=1", "a-b=1")
	out, err := cmd.CombinedOutput()
	return strings.ReplaceAll(string(out), filepath.Dir(s.File), "DIR"), err
}

func TestSetupIsSourced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ setup, script, want string }{
		"exports":                    {"export SPARK_HOME=/opt/spark3\n", `sh -c 'echo $SPARK_HOME'`, "/opt/spark3\n"},
		"made of others":             {`PATH="/opt/x:$PATH"`, `echo "${PATH%%:*}"`, "/opt/x\n"},
		"functions":                  {"hi() { echo \"hi $1\"; }", "hi you", "hi you\n"},
		"empty":                      {"", "echo on", "on\n"},
		"no line end":                {"X=1", "echo $X", "1\n"},
		"its status does not count":  {"false", "echo on", "on\n"},
		"unless it says so":          {"set -e", "false; echo on", ""},
		"its end":                    {"return 0\nexport X=1", "echo \"on $X\"", "on \n"},
		"the end of all":             {"echo no; exit 3", "echo on", "no\n"},
		"a hash-bang line":           {"X=1", "#!/bin/sh\necho $X", "1\n"},
		"what is the task's stays":   {"OWN=env; export day=other", `sh -c 'echo "$OWN $day"'`, "task it's \"2026\"\n$(x)\n"},
		"also after an early return": {"export OWN=env; return", `sh -c 'echo "$OWN"'`, "task\n"},
		"also unset":                 {"unset OWN", `sh -c 'echo "$OWN"'`, "task\n"},
		"nothing is left":            {"export OWN=env", `set | grep -c "^_baton"`, "0\n"},
		"and strict":                 {"set -eu; unset OWN", `echo "$OWN"`, "task\n"},
	} {
		for _, shell := range shells() {
			if got, err := sourced(t, shell, c.setup, c.script, "OWN", "UID", "a-b", "day"); got != c.want {
				t.Errorf("%s in %s: got %q, %v, want %q", name, shell, got, err, c.want)
			}
		}
	}
}

// Errors are told by line: of the task's script by its own, of the setup by its file's.
func TestSetupKeepsLineNumbers(t *testing.T) {
	t.Parallel()
	for _, shell := range shells() {
		got, _ := sourced(t, shell, "export A=1\n\nnosuchsetup\n", "echo a\n\nnosuchtask", "day")
		if lines := strings.Split(got, "\n"); len(lines) < 3 || !strings.Contains(lines[0], "environment") || !strings.Contains(lines[0], "3") || !strings.Contains(lines[2], "3") ||
			!strings.Contains(lines[2], "nosuchtask") || strings.Contains(lines[2], "environment") {
			t.Errorf("%s: %q", shell, got)
		}
	}
}

// Whatever is no shell is begun by one, which it then is.
func TestSetupAroundACommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := Setup{File: filepath.Join(dir, "setup"), Keep: []string{"OWN"}}
	tool := filepath.Join(dir, "tool")
	for path, text := range map[string]string{s.File: "export X='a b' OWN=env PATH=" + dir + ":$PATH\nset -- lost\n", tool: "#!/bin/sh\necho \"$X|$OWN|$PPID|$1|$2\"\n"} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	args := s.Around([]string{"tool", "it's", "$X"})
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "OWN=task")
	out, err := cmd.CombinedOutput()
	if want := "a b|task|"; err != nil || !strings.HasPrefix(string(out), want) || !strings.HasSuffix(string(out), "|it's|$X\n") {
		t.Errorf("got %q, %v", out, err)
	}
	args = s.Around([]string{"nosuchtool"})
	out, _ = exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if !strings.Contains(string(out), "environment") || !strings.Contains(string(out), "nosuchtool") {
		t.Errorf("got %q", out)
	}
}
