package reasons

import (
	"strings"
	"testing"

	"baton/test/harness"
)

// wait is something that waits, and what people are told about it.
type wait struct {
	task  string // "": the run itself
	state string
	says  []string // how the reason begins, and what is in it
	ends  bool     // time ends it: there is a moment at which it is looked at next
	noRow bool     // only an explanation tells of it
}

// sees waits until `get` and `explain` say so of a run, to programs and to people.
func (w *world) sees(t *testing.T, id string, want wait) {
	t.Helper()
	var last what
	defer func() {
		if t.Failed() {
			t.Logf("run %s, %+v, is told as %+v", id, want, last)
		}
	}()
	holds := func(run what, tasks map[string]what) bool {
		last = run
		if want.task != "" {
			last = tasks[want.task]
		}
		return want.state == last.State && says(last.Reason, want.says) && (want.task == "" || want.ends == (last.NextCheckAt != nil))
	}
	if !want.noRow {
		harness.Eventually(t, "get says "+strings.Join(want.says, " … "), func() bool { return holds(w.told(t, id, want.task)) })
	}
	var named []string
	if strings.Contains(want.task, "[") {
		named = append(named, want.task) // items are explained when they are asked for
	}
	harness.Eventually(t, "explain says "+strings.Join(want.says, " … "), func() bool { return holds(w.explain(t, id, named...)) })
	text := w.baton(t, append([]string{"explain", id}, named...)...)
	for _, word := range want.says[1:] {
		if !strings.Contains(text, word) {
			t.Errorf("explain tells people nothing of %q:\n%s", word, text)
		}
	}
}

// says tells whether a reason begins with the first text and has the others in it.
func says(reason string, words []string) bool {
	if !strings.HasPrefix(reason, words[0]) {
		return false
	}
	for _, word := range words[1:] {
		if !strings.Contains(reason, word) {
			return false
		}
	}
	return true
}
