package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts call the program itself: this test binary, started under its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"baton": func() {
		p := System()
		p.CompleteWithin = time.Minute // the tests' machine may be busy; a person is not that patient
		os.Exit(Main(p))
	}})
}

// Scripts that need no server.
func TestPure(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/pure",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}

// Scripts against a whole server. They share one, each with a project of its own.
func TestServer(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve(t, data)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/server",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"keep": keep, "conforms": conforms, "until": until},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("BATON_DATA", data)
			e.Setenv("LISTEN", strings.TrimPrefix(firstLine(filepath.Join(data, serverFile)), "http://"))
			e.Setenv("BATON_PROJECT", strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"))
			return nil
		},
	})
}

// Scripts that need a server of their own: they change what others rely on.
func TestServerAlone(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/alone",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"keep": keep, "keepnode": keepNode, "until": until},
		Setup: func(e *testscript.Env) error {
			data := t.TempDir()
			serve(t, data)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("BATON_DATA", data)
			return nil
		},
	})
}

// until PATTERN COMMAND… runs a command again and again until what it prints matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for range 600 {
		if err := ts.Exec(args[1], args[2:]...); err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("%q never printed %s", args[1:], args[0])
}

// keepNode VAR ROLE puts the id of a node of a role in the last list into the environment, and its name into NAME.
func keepNode(ts *testscript.TestScript, _ bool, args []string) {
	var list struct {
		Items []struct{ ID, Name, Role string }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	for _, n := range list.Items {
		if n.Role == args[1] {
			ts.Setenv(args[0], n.ID)
			ts.Setenv("NAME", n.Name)
			return
		}
	}
	ts.Fatalf("no %s in %v", args[1], list.Items)
}

// serve runs a standalone server in this process until the test is over. It returns when the
// server says that it is ready.
func serve(t *testing.T, data string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	logs, said := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, Process{
			Args:    []string{"standalone", "--data", data, "--listen", "127.0.0.1:0", "--log-format", "json", "--drain-timeout", "0"},
			Environ: []string{"HOME=" + data}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: said,
		})
		said.Close()
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("standalone ended with exit code %d", code)
		}
	})
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		var line struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			return
		}
		t.Log(lines.Text())
	}
	t.Fatal("standalone ended before it was ready")
}

// keep NAME PATH puts a member of the last answer (JSON on standard output) into the environment:
// keep ID id, keep STATE instance.state.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: keep NAME PATH")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for part := range strings.SplitSeq(args[1], ".") {
		if list, ok := v.([]any); ok && len(list) > 0 { // its first
			v = list[0]
		}
		object, ok := v.(map[string]any)
		if !ok {
			ts.Fatalf("no %s in %s", args[1], ts.ReadFile("stdout"))
		}
		v = object[part]
	}
	text, ok := v.(string)
	if !ok {
		ts.Fatalf("%s is no text", args[1])
	}
	ts.Setenv(args[0], text)
}

// Exit codes are what scripts rely on.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve(t, data)
	file := filepath.Join(data, "flows.yaml")
	flows := "name: good\ntasks: {a: {run: 'true'}}\n---\nname: bad\ntasks: {a: {run: 'false'}}\n---\nname: slow\ntasks: {a: {run: sleep 600}}\n"
	if err := os.WriteFile(file, []byte(flows), 0o600); err != nil {
		t.Fatal(err)
	}
	baton := func(args string) (int, string) {
		var out, diag strings.Builder
		code := execute(t.Context(), Process{
			Args: append([]string{"--data", data}, strings.Fields(args)...), Environ: []string{"HOME=" + data},
			Stdin: strings.NewReader(""), Stdout: &out, Stderr: &diag,
		})
		return code, out.String() + diag.String()
	}
	for _, c := range []struct {
		args string
		code int
	}{
		{"apply -f " + file, exitOK},
		{"run good --wait", exitOK},
		{"run bad --wait", exitFailed},
		{"run good --mode sideways", exitUsage},
		{"run good --environment x", exitUsage},
		{"apply -f none.yaml", exitUsage},
		{"get queues", exitUsage},
		{"get instance 99", exitNotFound},
		{"pause 99", exitNotFound},
		{"run none", exitNotFound},
		{"--token wrong get instances", exitNotAllowed},
		{"run good --key k -p a=1", exitOK},
		{"run good --key k -p a=2", exitConflict},
		{"run slow --wait --wait-timeout 100ms", exitTimeout},
		{"standalone", exitConflict},
		{"--server 127.0.0.1:1 get instances", exitFailed},
	} {
		if code, said := baton(c.args); code != c.code {
			t.Errorf("baton %s: exit code %d, want %d: %s", c.args, code, c.code, said)
		}
	}
}
