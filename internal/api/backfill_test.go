package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
)

const dailyYAML = `
kind: Calendar
name: works
holidays: [2026-01-01]
---
name: daily
timezone: Asia/Shanghai
params: {region: eu}
schedules: [{name: nightly, cron: "0 0 2 * * ?", calendar: works, params: {region: us}, enabled: false}]
tasks: {a: {run: echo $region}}
---
name: plain
timezone: Europe/Berlin
tasks: {a: {run: echo}}
---
name: two
schedules: [{name: hourly, every: 1h}, {name: secondly, cron: "* * * * * ?"}, {name: past, at: 2020-01-01}]
tasks: {a: {run: echo}}
---
name: report
project: mart
timezone: Asia/Shanghai
schedules: [{name: morning, cron: "0 0 8 * * ?"}, {name: never, cron: "0 0 9 * * ?", enabled: false}]
tasks: {a: {type: dependent, with: {all: [{project: default, workflow: daily, window: today}]}}}
---
name: lonely
tasks: {a: {type: dependent, with: {all: [{workflow: daily, window: last1Days}]}}}
---
name: busy
schedules: [{name: secondly, cron: "* * * * * ?", params: {n: "1"}}]
tasks: {a: {type: dependent, with: {all: [{workflow: plain, window: today}]}}}
---
name: circle
tasks: {a: {type: dependent, with: {all: [{workflow: round, window: same}]}}}
---
name: round
tasks: {a: {type: dependent, with: {all: [{workflow: circle, window: same}]}}}
---
name: sun
tasks: {a: {run: echo}}
---
name: mars
schedules: [{name: daily, cron: "0 0 0 * * ?", params: {region: mars}}]
tasks: {a: {type: dependent, with: {all: [{workflow: sun, window: same}]}}}
`

// What is wrong with an order of a backfill is said in words that help.
func TestBackfillRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if a := w.apply(dailyYAML); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	tooMany := make([]string, flow.MaxBackfillDates+1)
	for i := range tooMany {
		tooMany[i] = fmt.Sprintf("%q", time.Unix(int64(1_700_000_000+i), 0).UTC().Format(time.RFC3339))
	}
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"no dates", `{"workflow": "daily"}`, 400, "which dates?"},
		{"one end", `{"workflow": "daily", "from": "2026-01-01"}`, 400, "to when?"},
		{"the other end", `{"workflow": "daily", "to": "2026-01-01"}`, 400, "from when?"},
		{"both ways", `{"workflow": "daily", "to": "2026-01-01", "dates": ["2026-01-01"]}`, 400, "exclude each other"},
		{"backwards", `{"workflow": "daily", "from": "2026-01-02", "to": "2026-01-01"}`, 400, "is before from"},
		{"no such day", `{"workflow": "daily", "from": "2026-02-29", "to": "2026-03-01"}`, 400, `\"2026-02-29\" is no moment that there is`},
		{"before time began", `{"workflow": "daily", "dates": ["1969-02-28"]}`, 400, "before 1970"},
		{"twice", `{"workflow": "daily", "dates": ["2026-01-02", "2026-01-01T16:00:00Z"]}`, 400, "are the same moment"},
		{"too many in a list", `{"workflow": "daily", "dates": [` + strings.Join(tooMany, ",") + `]}`, 400, "these are 10001 dates"},
		{"nothing in the range", `{"workflow": "daily", "from": "2026-01-03", "to": "2026-01-04"}`, 400, "the next one is 2026-01-05T02:00:00+08:00"},
		{"nothing any more", `{"workflow": "two", "schedule": "past", "from": "2026-01-03", "to": "2026-01-04"}`, 400, "none comes after that: its one moment"},
		{"several schedules", `{"workflow": "two", "from": "2026-01-03", "to": "2026-01-04"}`, 400, "workflow two has 3 schedules: hourly, past, secondly"},
		{"another schedule", `{"workflow": "two", "schedule": "hourli", "from": "2026-01-03", "to": "2026-01-04"}`, 404, `"suggestion":"hourly"`},
		{"a schedule of none", `{"workflow": "plain", "schedule": "hourly", "from": "2026-01-03", "to": "2026-01-04"}`, 404, "workflow plain has no schedule"},
		{"too many", `{"workflow": "two", "schedule": "secondly", "from": "2016-01-01", "to": "2026-01-01"}`, 400, "about 315619201 dates, and a backfill has at most 10000; split the range: there are 10000 up to 2016-01-01T02:46:39Z"},
		{"parallel 0", `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-09", "parallel": 0}`, 400, "between 1 and 500"},
		{"parallel 501", `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-09", "parallel": 501}`, 400, "between 1 and 500"},
		{"an order", `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-09", "order": "up"}`, 400, `"field":"order"`},
		{"a circle", `{"workflow": "circle", "dates": ["2026-01-01"], "cascade": true}`, 409, "in a circle: default/circle, default/round, default/circle"},
		{"too many of a dependent", `{"workflow": "plain", "dates": ["2026-01-01"], "cascade": true}`, 400, "at most 10000 dates over all, and with those of default/busy"},
		{"a dependent that cannot be run", `{"workflow": "sun", "dates": ["2026-01-01"], "cascade": true}`, 400, "default/mars depends on it, and cannot be run: region"},
		{"a workflow", `{"workflow": "dialy", "from": "2026-01-01", "to": "2026-01-09"}`, 404, "did you mean"},
	} {
		a := w.do(http.MethodPost, "/api/v1/backfills", c.body)
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s, want %d and %s", c.name, a.status, a.body, c.status, c.want)
		}
	}
	var list api.List[api.BackfillSummary]
	w.get("/api/v1/backfills", &list)
	if len(list.Items) != 0 {
		t.Errorf("refused, and there: %+v", list.Items)
	}
}

// What a preview shows is what is run.
func TestBackfillPreview(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(dailyYAML)
	for _, c := range []struct{ name, body, want string }{
		{"by a schedule that is disabled, its calendar and its zone", `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-06"}`, "2026-01-01T18:00:00Z 2026-01-04T18:00:00Z"},
		{"both ends are included", `{"workflow": "daily", "from": "2026-01-02 02:00:00", "to": "2026-01-05 02:00:00"}`, "2026-01-01T18:00:00Z 2026-01-04T18:00:00Z"},
		{"the latest first", `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-06", "order": "desc"}`, "2026-01-04T18:00:00Z 2026-01-01T18:00:00Z"},
		{"every midnight", `{"workflow": "plain", "from": "2026-03-29", "to": "2026-03-30"}`, "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z"},
		{"a list", `{"workflow": "daily", "dates": ["2026-01-03", "2026-01-01 12:00:00"]}`, "2026-01-01T04:00:00Z 2026-01-02T16:00:00Z"},
		{"one of several schedules", `{"workflow": "two", "schedule": "hourly", "from": "2026-01-01", "to": "2026-01-01T01:00:00Z"}`, "2026-01-01T00:00:00Z 2026-01-01T01:00:00Z"},
	} {
		var shown, made api.Backfill
		a := w.do(http.MethodPost, "/api/v1/backfills", strings.Replace(c.body, "{", `{"preview": true, `, 1))
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.name, a.status, a.body)
		}
		w.decode(a, &shown)
		if shown.ID != nil || shown.State != "preview" || shown.CreatedAt != 0 {
			t.Errorf("%s: %+v", c.name, shown.BackfillSummary)
		}
		a = w.do(http.MethodPost, "/api/v1/backfills", c.body)
		if a.status != http.StatusCreated {
			t.Fatalf("%s: %d %s", c.name, a.status, a.body)
		}
		w.decode(a, &made)
		var got [2][]string
		for i, b := range []api.Backfill{shown, made} {
			for n, item := range b.Items {
				got[i] = append(got[i], item.DataTime.String())
				if begun := item.Instance != nil; begun != (i == 1 && n == 0) {
					t.Errorf("%s: %+v", c.name, item)
				}
			}
			if text := strings.Join(got[i], " "); text != c.want {
				t.Errorf("%s: %s, want %s", c.name, text, c.want)
			}
		}
		var run api.Instance
		w.get("/api/v1/instances/"+*made.Items[0].Instance, &run)
		if run.Trigger != flow.TriggerBackfill || run.DataTime != made.Items[0].DataTime {
			t.Errorf("%s: %+v", c.name, run.Summary)
		}
	}
}

// With cascade a preview shows who is run besides, and what is made is the same.
func TestBackfillCascade(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(dailyYAML)
	order := `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-06", "parallel": 9, "cascade": true, "params": {"region": "eu"}%s}`
	var shown, made api.Backfill
	w.decode(w.do(http.MethodPost, "/api/v1/backfills", fmt.Sprintf(order, `, "preview": true`)), &shown)
	w.decode(w.do(http.MethodPost, "/api/v1/backfills", fmt.Sprintf(order, "")), &made)
	for name, b := range map[string]api.Backfill{"shown": shown, "made": made} {
		var items, workflows []string
		for _, i := range b.Items {
			items = append(items, fmt.Sprintf("%d %s/%s %s %t", i.Level, i.Project, i.Workflow, i.DataTime, i.Instance != nil))
		}
		for _, p := range b.Workflows {
			reason, schedule := "", ""
			if p.Reason != nil {
				reason, _, _ = strings.Cut(*p.Reason, ":")
			}
			if p.Schedule != nil {
				schedule = *p.Schedule
			}
			workflows = append(workflows, fmt.Sprintf("%d %s/%s %s %s %d %s", p.Level, p.Project, p.Workflow, schedule, p.From, p.Progress.Total, reason))
		}
		begun := fmt.Sprint(name == "made")
		if got, want := strings.Join(items, "\n"), strings.ReplaceAll(`0 default/daily 2026-01-01T18:00:00Z BEGUN
0 default/daily 2026-01-04T18:00:00Z BEGUN
1 mart/report 2026-01-02T00:00:00Z false
1 mart/report 2026-01-05T00:00:00Z false`, "BEGUN", begun); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if got, want := strings.Join(workflows, "\n"), `0 default/daily nightly 2026-01-01T18:00:00Z 2 
1 default/lonely   0 unknown
1 mart/report morning 2026-01-02T00:00:00Z 2 `; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if b.Cascaded != 2 || b.Progress.Total != 4 || b.From != shown.Items[0].DataTime || b.To != shown.Items[1].DataTime {
			t.Errorf("%s: %+v", name, b.BackfillSummary)
		}
	}
	a := w.do(http.MethodPost, "/api/v1/backfills", `{"workflow": "two", "dates": ["2026-01-01"], "schedule": "hourly", "cascade": true, "preview": true}`)
	if !strings.Contains(a.body, "no workflow depends on two") || !strings.Contains(a.body, `"workflows":[]`) {
		t.Errorf("%s", a.body)
	}
}

func TestBackfillSteered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.apply(dailyYAML)
	order := `{"workflow": "daily", "from": "2026-01-01", "to": "2026-01-08", "parallel": 2, "on_failure": "stop", "params": {"region": "eu"}}`
	a := w.do(http.MethodPost, "/api/v1/backfills", order, "Idempotency-Key", "k")
	var b, again api.Backfill
	w.decode(a, &b)
	if b.State != "running" || b.Progress != (api.BackfillProgress{Total: 4, Waiting: 2, Running: 2}) || b.Params["region"] != "eu" || b.Timezone != "Asia/Shanghai" || *b.Schedule != "nightly" || b.OnFailure != "stop" {
		t.Errorf("%+v", b)
	}
	a = w.do(http.MethodPost, "/api/v1/backfills", order, "Idempotency-Key", "k")
	if w.decode(a, &again); a.status != http.StatusOK || !again.Existing || *again.ID != *b.ID {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = w.do(http.MethodPost, "/api/v1/backfills", strings.Replace(order, "eu", "us", 1), "Idempotency-Key", "k"); a.status != http.StatusConflict || !strings.Contains(a.body, "was used for backfill "+*b.ID) {
		t.Errorf("%d %s", a.status, a.body)
	}
	way := "/api/v1/backfills/" + *b.ID
	for _, c := range []struct {
		verb   string
		status int
		want   string
	}{
		{"/pause", 200, `"state":"paused"`},
		{"/pause", 200, `"state":"paused"`},
		{"/resume?on_failure=continue", 200, `"on_failure":"continue"`},
		{"/resume?on_failure=sometimes", 400, `on_failure`},
		{"/stop", 200, `"state":"stopping"`},
		{"/resume", 409, "for good"},
		{"/pause", 409, "nothing to pause"},
		{"/stop", 200, `"state":"stopping"`},
	} {
		if a := w.do(http.MethodPost, way+c.verb, ""); a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", c.verb, a.status, a.body)
		}
	}
	for path, want := range map[string]string{
		"/api/v1/backfills?workflow=daily": `"id":"` + *b.ID, "/api/v1/backfills?instance=" + *b.Items[0].Instance: `"id":"` + *b.ID,
		"/api/v1/backfills?state=stopping": `"id":"` + *b.ID, "/api/v1/backfills?workflow=plain": `"items":[]`, "/api/v1/backfills?project=none": `"items":[]`,
	} {
		if a := w.do(http.MethodGet, path, ""); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for path, status := range map[string]int{
		"/api/v1/backfills/99": 404, "/api/v1/backfills/x": 400, "/api/v1/backfills?state=lost": 400, "/api/v1/backfills?cursor=!": 400, "/api/v1/backfills?instance=x": 400,
	} {
		if a := w.do(http.MethodGet, path, ""); a.status != status {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
