package spec_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"baton/internal/flow"
	"baton/internal/spec"
)

func parse(content string) ([]flow.Document, flow.Errors) {
	return spec.Parse([]spec.Source{{Name: "w.yaml", Content: []byte(content)}}, types, spec.Defaults{})
}

func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	_, errs := parse("name: w\n#" + strings.Repeat("x", 10<<20))
	if len(errs) != 1 || !strings.Contains(errs[0].Message, "10.0 MiB; at most 8.0 MiB") || errs[0].Line != 1 {
		t.Fatal(errs)
	}
}

func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"name: \xff":            "w.yaml:1:7: byte 0xFF is no UTF-8",
		"name: 每\n b: \x01":     "w.yaml:2:5: control character U+0001",
		"name: a\ufffeb":        "w.yaml:1:8: U+FFFE is no character",
		"\"name\": \"a\\0b\"\n": "w.yaml:1:1: a workflow needs",
		"\xff\xfen\x00a\x00:":   "w.yaml:1:1: byte 0xFF is no UTF-8",
	} {
		_, errs := parse(content)
		if len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("%q: %v", content, errs)
		}
	}
}

// chain is a workflow of n tasks, each with what makes checking costly.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("name: big\ntasks:\n  t0: {run: echo}\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  t%d:\n    run: echo $day %d\n    needs: [t%d]\n    join: t%d.succeeded\n    retry: {times: 3, delay: 30s}\n    env: {A: \"${t0.x}\", B: \"${t%d.x}\"}\n", i, i, i-1, i-1, i/2)
	}
	return b.String()
}

func TestTaskLimit(t *testing.T) {
	t.Parallel()
	_, errs := parse(chain(flow.MaxTasks + 1))
	if len(errs) != 1 || !strings.Contains(errs[0].Message, "at most 10000 tasks, this one has 10001") {
		t.Fatal(errs)
	}
}

// TestLargeFilesAreFast bounds what would be minutes if anything were quadratic. The bounds are many
// times what it takes on an idle machine.
func TestLargeFilesAreFast(t *testing.T) {
	t.Parallel()
	const n = flow.MaxTasks / 4 // the race detector runs this too; BenchmarkParse has all of them
	var fan, cycle, wrong, join strings.Builder
	fan.WriteString("name: fan\ntasks:\n  all:\n    run: echo\n    needs: [")
	for i := range n - 2 {
		fmt.Fprintf(&fan, "t%d, ", i)
	}
	fan.WriteString("t0x]\n  t0x: {run: echo}\n")
	cycle.WriteString("name: cycle\ntasks:\n")
	wrong.WriteString("name: wrong\ntasks:\n")
	join.WriteString("name: switch\ntasks:\n  s:\n    type: switch\n    with: {cases: [{when: 'true', to: [")
	for i := range n {
		fmt.Fprintf(&cycle, "  t%d: {run: echo, needs: [t%d]}\n", i, (i+1)%n)
		fmt.Fprintf(&wrong, "  task-number-%d: {run: echo, needs: [tusk-number-%d], env: {A: \"${tisk-number-%d.x}\"}}\n", i, i, i)
	}
	for i := range n - 1 {
		fmt.Fprintf(&join, "j%d, ", i)
	}
	join.WriteString("]}]}\n")
	for i := range n - 1 {
		fmt.Fprintf(&join, "  j%d: {run: echo}\n", i)
		if i < n-2 {
			fmt.Fprintf(&fan, "  t%d: {run: echo}\n", i)
		}
	}
	for name, content := range map[string]string{
		"chain": chain(n), "fan": fan.String(), "cycle": cycle.String(), "wrong": wrong.String(), "switch": join.String(),
		"unknown keys": "name: w\ntasks: {a: {run: x}}\n" + strings.Repeat("x", 100) + ": 1\n" + numbered("kye%d: 1\n", 50_000),
		"spaces":       "name: w\n" + strings.Repeat(" ", 8_000_000),
		"brackets":     "name: " + strings.Repeat("[", 1_000_000),
		"dashes":       strings.Repeat("- ", 1_000_000),
	} {
		begin := time.Now()
		docs, errs := parse(content)
		took := time.Since(begin)
		t.Logf("%s: %v, %d documents, %d errors", name, took, len(docs), len(errs))
		if took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if len(errs) > 1001 {
			t.Errorf("%s: %d errors", name, len(errs))
		}
	}
}

func numbered(format string, n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	content := chain(flow.MaxTasks)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, errs := parse(content); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range archives(f) {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range sources(a) {
			f.Add(s.Content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		docs, errs := spec.Parse([]spec.Source{{Name: "w.yaml", Content: content}}, types, spec.Defaults{})
		if len(docs) > 0 == (len(errs) > 0) {
			t.Fatalf("%d documents and %d errors", len(docs), len(errs))
		}
		for _, e := range errs {
			if e.File != "w.yaml" || e.Line < 1 || e.Column < 1 || e.Message == "" || e.Code == "" {
				t.Errorf("%#v", e)
			}
			if lines := lineBreaks(string(content)) + 2; e.Line > lines {
				t.Errorf("line %d of %d: %s", e.Line, lines, e)
			}
		}
		for _, d := range docs {
			roundTrip(t, d)
		}
	})
}

// lineBreaks counts what YAML takes for one, which is more than most editors do.
func lineBreaks(s string) (n int) {
	for _, c := range s {
		switch c {
		case '\n', '\r', '\u0085', '\u2028', '\u2029':
			n++
		}
	}
	return n
}
