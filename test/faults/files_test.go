package faults

import (
	"fmt"
	"strings"
	"testing"

	"baton/test/harness"
)

// Files that are wrong: each names the place and the remedy.
var files = []struct {
	name, text, at string
	code           string
	words          []string
}{
	{"flow style", "name: a\ntasks: {a: {run: echo ${x}}}\n", "2:18", "invalid_file", []string{"quoted"}},
	{"tab", "name: a\n\ttasks: 1\n", "2:1", "invalid_file", []string{"tab", "spaces"}},
	{"open quote", "name: \"a\ntasks: {a: {run: x}}\n", "", "invalid_file", []string{"quote"}},
	{"unknown key", "name: a\ntasks: {a: {run: x, dealy: 1s}}\n", "2:21", "invalid_file", []string{`"dealy"`, `did you mean "delay"?`}},
	{"unknown type", "name: a\ntasks: {a: {type: shel, with: {script: x}}}\n", "2:19", "invalid_file", []string{`"shel"`, `did you mean "shell"?`}},
	{"cycle", "name: a\ntasks:\n  a: {needs: [c], run: x}\n  b: {needs: [a], run: x}\n  c: {needs: [b], run: x}\n", "3:15", "invalid_file", []string{"cycle: a → c → b → a"}},
	{"itself", "name: a\ntasks:\n  a: {needs: [a], run: x}\n", "3:15", "invalid_file", []string{"needs itself"}},
	{"duplicate", "name: a\ntasks:\n  a: {run: x}\n  a: {run: x}\n", "4:3", "invalid_file", []string{"twice", "line 3"}},
	{"unknown task", "name: a\ntasks:\n  extract: {run: x}\n  b: {needs: [extrct], run: x}\n", "4:15", "invalid_file", []string{`did you mean "extract"?`}},
	{"duration", "name: a\ntasks:\n  a: {run: x, timeout: {run: 5 parsecs}}\n", "3:30", "invalid_file", []string{"30s, 5m"}},
	{"negative", "name: a\ntasks:\n  a: {run: x, delay: -5s}\n", "3:22", "invalid_file", []string{"out of range"}},
	{"cron", "name: a\nschedules: [{cron: \"0 0 99 * * ?\"}]\ntasks:\n  a: {run: x}\n", "2:20", "invalid_file", []string{"hour", "from 0 to 23"}},
	{"expression", "name: a\ntasks:\n  a: {run: x}\n  s: {needs: [a], type: switch, with: {cases: [{when: \"region ==\", to: [b]}]}}\n  b: {needs: [s], run: x}\n", "4:63", "invalid_file", []string{"not an expression"}},
	{"condition", "name: a\ntasks:\n  a: {run: x}\n  s: {needs: [a], type: conditions, with: {if: a.succeded, then: [b]}}\n  b: {needs: [s], run: x}\n", "4:50", "invalid_file", []string{`did you mean "succeeded"?`}},
	{"reference", "name: a\ntasks:\n  a: {run: 'echo ${b.rows}'}\n  b: {run: x}\n", "3:18", "invalid_file", []string{"b.rows", "env: "}},
	{"time", "name: a\nparams: {d: \"$[yyyyMMdd-]\"}\ntasks:\n  a: {run: x}\n", "2:24", "invalid_file", []string{"number of days"}},
	{"empty", "", "1:1", "invalid_file", []string{"name: and tasks:"}},
	{"no tasks", "name: a\n", "1:1", "invalid_file", []string{`"tasks"`}},
	{"NUL", "name: a\x00b\ntasks: {a: {run: x}}\n", "1:8", "invalid_file", []string{"U+0000"}},
	{"Latin 1", "name: \"a\xff\"\ntasks: {a: {run: x}}\n", "1:9", "invalid_file", []string{"UTF-8"}},
	{"deep", "name: a\nparams: " + strings.Repeat("[", 20_000) + "\n", "", "invalid_file", []string{"nested deeper"}},
	{"aliases", "a: &a [x,x,x,x,x,x,x,x,x]\n" + bomb() + "name: a\ntasks: {a: {run: x}}\n", "", "invalid_file", []string{"aliases"}},
	{"large", "name: a\ntasks:\n  a:\n    run: |\n" + strings.Repeat("      echo "+strings.Repeat("x", 89)+"\n", 100_000), "", "too_large", []string{"8 MiB", "files:"}},
	{"10001 tasks", noops("a", 10_001), "3:3", "invalid_file", []string{"10000", "10001"}},
}

// bomb grows ninefold with each line.
func bomb() string {
	var b strings.Builder
	for c := 'b'; c < 'k'; c++ {
		fmt.Fprintf(&b, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	return b.String()
}

func noops(name string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\ntasks:\n", name)
	for i := range n {
		fmt.Fprintf(&b, "  t%d: {type: noop}\n", i)
	}
	return b.String()
}

type fileErrors struct {
	Error struct {
		Code, Message, File string
		Line, Column        int
	}
	Errors []any
}

func TestFileIsRefused(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	for i, f := range files {
		t.Run(f.name, func(t *testing.T) {
			name := fmt.Sprintf("f%d.yaml", i)
			write(t, s, name, f.text)
			words := append([]string{name}, f.words...)
			if f.at != "" {
				words[0] += ":" + f.at
			}
			r := s.Baton(t, "apply", "-f", name)
			check(t, r, fault{exit: 2, words: words}, r.Stderr, []string{"apply", f.name})
			if strings.Count(r.Stderr, "did you mean") > 1 {
				t.Errorf("asked twice: %s", r.Stderr)
			}
			r = s.Baton(t, "apply", "-f", name, "-o", "json")
			answer := harness.Decode[fileErrors](t, r.Stderr)
			e := answer.Error
			if r.Code != 2 || e.Code != f.code || e.File != name || f.at != "" && f.at != fmt.Sprintf("%d:%d", e.Line, e.Column) {
				t.Errorf("exit %d: %s", r.Code, r.Stderr)
			}
			if f.code == "invalid_file" && len(answer.Errors) == 0 {
				t.Errorf("errors are not listed: %s", r.Stderr)
			}
		})
	}
	if list := s.Must(t, "get", "workflows", "-o", "name"); list != "" {
		t.Errorf("applied all the same: %s", list)
	}
	healthy(t, s)
}

// What cannot be known from the file fails the task, and says why where people look.
func TestBadValueFailsTheTask(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, `
name: reference
tasks: {a: {type: http, with: {method: GET, url: "http://127.0.0.1:1/${regoin}"}}}
---
name: expression
params: {region: eu}
tasks: {a: {type: http, with: {method: GET, url: "${{ region + 1 }}"}}}
`)
	for workflow, word := range map[string]string{"reference": "regoin", "expression": "with.url: invalid operation: string + int"} {
		r := s.Baton(t, "run", workflow, "--wait")
		if r.Code != 1 || !strings.Contains(r.Stdout+r.Stderr, "why: baton explain") {
			t.Errorf("%s: exit %d, and no way to the reason: %s%s", workflow, r.Code, r.Stdout, r.Stderr)
		}
		run := s.Run(t, workflow)
		if a := run.Task(t, "a"); a.State != "failed" || a.Reason != "parameter" {
			t.Errorf("%s: %s %s", workflow, a.State, a.Reason)
		}
		if why := s.Must(t, "explain", run.ID); !strings.Contains(why, "parameter: ") || !strings.Contains(why, word) {
			t.Errorf("%s: explained by %s", workflow, why)
		}
		refused(t, s, fault{3, "not_found", []string{"did not begin", word}}, "logs", run.ID, "a")
	}
	healthy(t, s)
}

func TestTenThousandTasks(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	s.Apply(t, noops("many", 10_000))
	run := s.Run(t, "many")
	if run.State != "succeeded" || len(run.Tasks) != 10_000 {
		t.Fatalf("%s with %d tasks", run.State, len(run.Tasks))
	}
	healthy(t, s)
}
