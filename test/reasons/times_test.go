package reasons

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"baton/test/harness"
)

const backfilled = "\ntasks: {a: {run: %s}}"

// Dates of backfills that do not begin.
func backfillsRest(t *testing.T, all *seen) {
	w := standalone(t, all)
	w.apply(t, "name: stays"+fmt.Sprintf(backfilled, on)+"\n---\nname: lasts"+fmt.Sprintf(backfilled, stubborn)+
		"\n---\nname: breaks\nparams: {day: '$[dd]'}\ntasks: {a: {run: \"[ $day = 01 ] && exit 1; "+strings.TrimPrefix(on, `"`)+"}}")
	begin := func(name string, args ...string) string {
		t.Helper()
		return harness.Decode[struct{ ID string }](t, w.baton(t, append([]string{"backfill", name, "--dates", "2026-03-01,2026-03-02,2026-03-03", "-o", "json"}, args...)...)).ID
	}
	told := func(id, state string, words ...string) {
		t.Helper()
		var b what
		harness.Eventually(t, "the backfill says "+words[0], func() bool {
			b = harness.Decode[what](t, w.baton(t, "get", "backfills", id, "-o", "json"))
			w.add(b.Reason)
			return b.State == state && says(b.Reason, words)
		})
		if text := w.baton(t, "get", "backfills", id); !strings.Contains(text, words[1]) {
			t.Errorf("nothing of %q in:\n%s", words[1], text)
		}
	}
	paused := begin("stays")
	w.baton(t, "backfill", "--pause", paused)
	told(paused, "paused", "paused: no date begins until", "baton backfill --resume "+paused)
	stopping := begin("lasts")
	harness.Eventually(t, "its task runs", func() bool {
		return strings.Contains(w.baton(t, "get", "instances", "--workflow", "lasts", "--state", "running", "-o", "json"), `"running: tasks are running"`)
	})
	w.baton(t, "backfill", "--stop", stopping)
	told(stopping, "stopping", "stopping: no date begins any more", "its runs are being stopped")
	told(begin("breaks", "--on-failure", "stop", "--parallel", "2"), "running", "on_failure: 1 of 3 dates did not succeed", "no other begins, and what runs goes on")
}

const pooledAlone = "name: poolless\ntasks: {a: {run: 'true', pool: gone}}\n---\n{kind: Pool, name: gone, slots: 1, closed: true}"

const scheduled = `name: %s
tasks: {a: {type: noop}}
schedules: [{name: s, cron: "0 0 * * * ?"%s}]
---
`

// Times of schedules that were left out, and schedules that fire no more.
func timesAreMissed(t *testing.T, all *seen) {
	w := standalone(t, all)
	var yaml strings.Builder
	for name, more := range map[string]string{
		"last": "", "none": ", missed: none", "narrow": ", missed_window: 30m", "halted": "", "rests": ", calendar: never", "holidays": ", calendar: ours",
		"off": ", enabled: false", "spoilt": "", "over": `, end: "2020-01-01T00:00:00Z"`,
	} {
		fmt.Fprintf(&yaml, scheduled, name, more)
	}
	now := time.Now().UTC()
	today, yesterday := now.Format(time.DateOnly), now.AddDate(0, 0, -1).Format(time.DateOnly)
	yaml.WriteString("{kind: Calendar, name: never, workdays: [2020-01-01]}\n---\n{kind: Calendar, name: ours, weekdays: [mon, tue, wed, thu, fri, sat, sun], holidays: [" + today + ", " + yesterday + "]}\n")
	w.apply(t, yaml.String())
	schedule := func(workflow string, words ...string) {
		t.Helper()
		type schedule struct {
			Workflow, Reason string
		}
		for _, s := range harness.Decode[harness.List[schedule]](t, w.baton(t, "get", "schedules", "-o", "json")).Items {
			w.add(s.Reason)
			if s.Workflow == workflow && !says(s.Reason, words) {
				t.Errorf("the schedule of %s says %q instead of %q", workflow, s.Reason, words)
			}
		}
	}
	schedule("off", "disabled: ", "baton schedule enable off s")
	schedule("over", "exhausted: ")

	// A run that nobody can read, and schedules of which nobody was there for some hours.
	w.apply(t, "name: broken\ntasks: {a: {run: 'true', worker_group: nowhere}}")
	w.apply(t, pooledAlone)
	poolless := w.begin(t, "poolless")
	w.until(t, poolless, "a", "queued")
	broken := w.begin(t, "broken")
	w.until(t, broken, "a", "queued")
	w.s.Stop(t)
	w.s.SQL(t, "UPDATE instance SET version = 42 WHERE id = "+broken,
		"UPDATE timing SET after_time = after_time - 3 * 3600000000, next_at = 1 WHERE next_at > 0",
		"DELETE FROM pool",
		"UPDATE schedule SET body = json_set(body, '$.cron', 'now and then') WHERE workflow_id = (SELECT id FROM workflow WHERE name = 'spoilt')",
		"UPDATE timing SET halted = 1 WHERE schedule_id = (SELECT s.id FROM schedule s JOIN workflow w ON w.id = s.workflow_id WHERE w.name = 'halted')")
	w.s.Start(t)
	w.tell(t)
	w.sees(t, broken, wait{state: "quarantined", says: []string{"quarantined: ", "no version 42", "baton release"}})
	w.sees(t, poolless, wait{task: "a", state: "queued", says: []string{"pool: waits for 1 slot of pool gone", "which does not exist; apply it"}})
	schedule("spoilt", "unreadable: ", "now and then")
	fire := func(workflow, state string, words ...string) {
		t.Helper()
		harness.Eventually(t, "a fire of "+workflow+" says "+words[0], func() bool {
			for _, f := range harness.Decode[harness.List[what]](t, w.baton(t, "get", "fires", "--workflow", workflow, "-o", "json")).Items {
				w.add(f.Reason)
				if f.State == state && says(f.Reason, words) {
					return true
				}
			}
			return false
		})
	}
	fire("last", "fired", "late: nobody was there")
	fire("last", "skipped", "missed: nobody was there", "missed: last fires only the latest")
	fire("none", "skipped", "missed: nobody was there", "missed: none")
	fire("narrow", "missed", "window: nobody was there", "missed_window is 30m")
	fire("halted", "skipped", "disabled: ")
	fire("holidays", "skipped", "calendar: ", "is a holiday of calendar ours")
	fire("rests", "skipped", "calendar: ", "is no workday of calendar never")
}
