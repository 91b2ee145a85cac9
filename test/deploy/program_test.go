// The program that everything in deploy/ must fit.

package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	root    = "../.."
	folder  = root + "/deploy"
	chart   = folder + "/helm/baton"
	units   = folder + "/systemd"
	compose = folder + "/compose.yaml"
	images  = folder + "/docker/Dockerfile"
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "baton-deploy")
	if err == nil {
		program = filepath.Join(dir, "baton")
		build := exec.Command("go", "build", "-o", program, "./cmd/baton")
		build.Dir, build.Stderr = root, os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var roles = []string{"standalone", "master", "api", "worker"}

// flags of a command, as its help tells them.
var flags = func() func(t *testing.T, command string) []string {
	var mu sync.Mutex
	known := map[string][]string{}
	flag := regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)
	return func(t *testing.T, command string) []string {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if found, ok := known[command]; ok {
			return found
		}
		help, err := exec.Command(program, append(strings.Fields(command), "--help")...).Output()
		if err != nil {
			t.Fatalf("baton %s --help: %v", command, err)
		}
		var found []string
		for _, m := range flag.FindAllStringSubmatch(string(help), -1) {
			found = append(found, m[1])
		}
		if len(found) < 5 {
			t.Fatalf("baton %s --help tells only %v", command, found)
		}
		known[command] = found
		return found
	}
}()

// setting is the flag that a variable of the environment stands for.
func setting(variable string) (flag string, ok bool) {
	name, ok := strings.CutPrefix(variable, "BATON_")
	return strings.ToLower(strings.ReplaceAll(name, "_", "-")), ok
}

// invocation is a command line of baton, and its environment.
type invocation struct {
	where string
	args  []string
	env   map[string]string
}

// command is what comes before the flags: master; migrate up.
func (i invocation) command() string {
	n := slices.IndexFunc(i.args, func(a string) bool { return strings.HasPrefix(a, "-") })
	if n < 0 {
		n = len(i.args)
	}
	return strings.Join(i.args[:n], " ")
}

// settings are those that it says, by flags and by variables.
func (i invocation) settings(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for k, v := range i.env {
		if name, ok := setting(k); ok {
			out[name] = v
		}
	}
	rest := i.args[len(strings.Fields(i.command())):]
	for n := 0; n < len(rest); n++ {
		name, ok := strings.CutPrefix(rest[n], "--")
		if !ok {
			t.Errorf("%s: %q is no flag", i.where, rest[n])
			continue
		}
		name, value, said := strings.Cut(name, "=")
		if !said && n+1 < len(rest) {
			n++
			value = rest[n]
		}
		out[name] = value
	}
	return out
}

// check holds it against the program: the flags are there, and their values are taken.
func (i invocation) check(t *testing.T) map[string]string {
	t.Helper()
	known := flags(t, i.command())
	said := i.settings(t)
	for name := range said {
		if !slices.Contains(known, name) {
			t.Errorf("%s: baton %s has no --%s", i.where, i.command(), name)
		}
	}
	accepted(t, i.where, said)
	return said
}

// accepted has the program read settings, which it does before it looks at the command.
func accepted(t *testing.T, where string, said map[string]string) {
	t.Helper()
	cmd := exec.Command(program, "version")
	cmd.Env = []string{"HOME=" + t.TempDir()}
	for name, value := range said {
		cmd.Env = append(cmd.Env, "BATON_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", where, err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheCheckBites(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(program, "version")
	cmd.Env = []string{"HOME=" + t.TempDir(), "BATON_DRAIN_TIMEOUT=soon"}
	if err := cmd.Run(); err == nil {
		t.Error("a setting that means nothing was taken: settings are not checked by `baton version`")
	}
	if slices.Contains(flags(t, "master"), "slots") || !slices.Contains(flags(t, "worker"), "slots") {
		t.Error("the flags of commands are not told apart")
	}
}
