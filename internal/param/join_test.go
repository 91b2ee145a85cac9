package param

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	good     = Succeeded | Ended
	bad      = Failed | Ended
	killed   = Failed | Killed | Ended
	disabled = Succeeded | Skipped | Ended
	notTaken = Skipped | Ended
	lost     = Unreached | Ended
)

func TestJoin(t *testing.T) {
	t.Parallel()
	states := map[string]Upshot{"a": good, "b": bad, "c": notTaken, "每日-订单": good, "日报": killed, "d": disabled, "not": good, "u": lost}
	tasks := sortedKeys(states)
	for text, want := range map[string]bool{
		"a.succeeded":                                true,
		"a.failed":                                   false,
		"not a.failed and a.ended":                   true,
		"!a.failed && a.ended":                       true,
		"b.succeeded or a.succeeded":                 true,
		"b.succeeded||a.succeeded":                   true,
		"not (a.succeeded and b.ended)":              false,
		"c.succeeded or c.failed":                    false,
		"c.skipped":                                  true,
		"d.skipped and d.succeeded":                  true,
		"日报.killed and 日报.failed":                    true,
		`tasks["每日-订单"].succeeded`:                   true,
		`tasks['每日-订单'].failed`:                      false,
		`tasks["not"].succeeded`:                     true,
		"u.unreached and not u.failed":               true,
		"a.succeeded and b.succeeded or d.succeeded": true, // and binds tighter
		"a.succeeded or b.succeeded and b.killed":    true,
		"not not a.succeeded":                        true,
		"any_succeeded":                              true,
		"all_succeeded":                              false,
		"none_failed or a.ended":                     true,
		"\n all_done\t":                              true,
	} {
		j, err := CompileJoin(text, tasks)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := j.Eval(func(n string) Upshot { return states[n] }); got != want || j.Text() != text {
			t.Errorf("%s = %v", text, got)
		}
	}
	j, err := CompileJoin(`b.failed or a.failed and not tasks["b"].killed`, tasks)
	if diff := cmp.Diff([]string{"a", "b"}, j.Names()); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestJoinRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		states []Upshot
		true   string
	}{
		{[]Upshot{good, good}, "all_succeeded any_succeeded none_failed all_done"},
		{[]Upshot{good, notTaken}, "all_succeeded any_succeeded none_failed all_done"},
		{[]Upshot{disabled, good}, "all_succeeded any_succeeded none_failed all_done"},
		{[]Upshot{notTaken, notTaken}, "none_failed all_done"},
		{[]Upshot{good, bad}, "any_succeeded all_done"},
		{[]Upshot{good, killed}, "any_succeeded all_done"},
		{[]Upshot{good, lost}, "any_succeeded all_done"},
		{[]Upshot{bad, lost}, "all_done"},
		{[]Upshot{good, 0}, "any_succeeded none_failed"},
		{nil, "none_failed all_done"},
	} {
		var tasks []string
		for i := range c.states {
			tasks = append(tasks, string(rune('a'+i)))
		}
		var got []string
		for _, rule := range JoinRules() {
			j, err := CompileJoin(rule, tasks)
			if err != nil {
				t.Fatal(err)
			}
			if j.Eval(func(n string) Upshot { return c.states[n[0]-'a'] }) {
				got = append(got, rule)
			}
		}
		if s := strings.Join(got, " "); s != c.true {
			t.Errorf("%b: %s, want %s", c.states, s, c.true)
		}
	}
}

func TestJoinErrors(t *testing.T) {
	t.Parallel()
	tasks := []string{"extract", "每日-订单", "load-eu"}
	for _, c := range []struct {
		text, code string
		offset     int
		message    string
	}{
		{"", CodeExpression, 0, "a task was expected, not the end"},
		{"extract", CodeExpression, 7, `".succeeded"`},
		{"extract.", CodeExpression, 8, "a task has no"},
		{"extract.suceeded", CodeExpression, 8, `did you mean "succeeded"`},
		{"extract.failed or", CodeExpression, 17, "the end"},
		{"extract.failed extract.failed", CodeExpression, 15, "and, or"},
		{"(extract.failed", CodeExpression, 15, `")"`},
		{"extract.failed)", CodeExpression, 14, `")"`},
		{"extrct.failed", CodeUnknownTask, 0, `did you mean "extract"`},
		{"not load-eu.failed", CodeUnknownTask, 4, `write tasks["load-eu"]`},
		{"每日-订单.failed", CodeUnknownTask, 0, `write tasks["每日-订单"]`},
		{`tasks["每日-定单"].failed`, CodeUnknownTask, 6, `did you mean "每日-订单"`},
		{`tasks[extract].failed`, CodeExpression, 6, "between quotes"},
		{`tasks["extract".failed`, CodeExpression, 15, `"]"`},
		{`tasks["extract`, CodeExpression, 6, "not closed"},
		{"all_suceeded", CodeUnknownTask, 0, `did you mean "all_succeeded"`},
		{"extract.failed # x", CodeExpression, 15, "no meaning"},
		{"and extract.failed", CodeExpression, 0, "a task was expected"},
		{strings.Repeat("(", 100), CodeTooLarge, 64, ""},
		{strings.Repeat(" ", 5000), CodeTooLarge, 4096, ""},
	} {
		_, err := CompileJoin(c.text, tasks)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Offset != c.offset || !strings.Contains(e.Message, c.message) {
			t.Errorf("%.30s: %#v; want %s at %d, %q", c.text, err, c.code, c.offset, c.message)
		}
	}
	if _, err := CompileJoin("a.failed", nil); err == nil || !strings.Contains(err.Error(), "needs") {
		t.Error(err)
	}
}

// Any tree of conditions, printed with every bracket, evaluates as it should.
func TestJoinProperty(t *testing.T) {
	t.Parallel()
	states := map[string]Upshot{"a": good, "b": bad, "c d": notTaken}
	var tree func(t *rapid.T, depth int) (string, bool)
	tree = func(t *rapid.T, depth int) (string, bool) {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		if depth == 0 {
			kind = 3
		}
		switch kind {
		case 0, 1:
			l, lv := tree(t, depth-1)
			r, rv := tree(t, depth-1)
			if kind == 0 {
				return "(" + l + ") and (" + r + ")", lv && rv
			}
			return "(" + l + ")||(" + r + ")", lv || rv
		case 2:
			n, v := tree(t, depth-1)
			return "not (" + n + ")", !v
		default:
			task := rapid.SampledFrom(sortedKeys(states)).Draw(t, "task")
			flag := rapid.SampledFrom(sortedKeys(upshotNames)).Draw(t, "flag")
			return `tasks["` + task + `"].` + flag, states[task]&upshotNames[flag] != 0
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text, want := tree(t, 4)
		j, err := CompileJoin(text, sortedKeys(states))
		if err != nil {
			t.Fatal(err)
		}
		if got := j.Eval(func(n string) Upshot { return states[n] }); got != want {
			t.Fatalf("%s = %v", text, got)
		}
	})
}

func FuzzCompileJoin(f *testing.F) {
	for _, s := range []string{"a.succeeded and not tasks[\"b c\"].failed", "all_done", "((!a.ended))", "tasks['a\\'b']", "a.x.y", "||", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		j, err := CompileJoin(text, []string{"a", "b c"})
		checkError(t, text, err)
		if err == nil {
			j.Eval(func(string) Upshot { return Ended })
		}
	})
}
