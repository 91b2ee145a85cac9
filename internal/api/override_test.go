package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"baton/internal/api"
)

const overriddenYAML = `
name: report
schedules:
  - {name: nightly, every: 24h}
  - {every: 1h}
  - {name: at noon, every: 12h, enabled: false}
triggers:
  - {name: loaded, after: {any: [{workflow: orders}]}}
  - {name: stocked, after: {any: [{workflow: orders}]}}
tasks: {a: {run: x}}
---
kind: Pool
name: dw
slots: 4
---
kind: Pool
name: licences
slots: 1
`

// What a verb changed is shown, and is no change of the file.
func TestDiffShowsOverrides(t *testing.T) {
	t.Parallel()
	w := setup(t)
	shown := func(yaml string) map[string][]api.Override {
		t.Helper()
		var got api.DiffResult
		w.decode(w.do(http.MethodPost, "/api/v1/diff", filesJSON("f.yaml", yaml)), &got)
		out := map[string][]api.Override{}
		for _, d := range got.Items {
			out[d.Name+" "+d.Change] = d.Overrides
		}
		return out
	}
	same := func(want, got map[string][]api.Override) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	say := func(method, path, body string) {
		t.Helper()
		if a := w.do(method, "/api/v1/projects/default"+path, body); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
	}
	none := []api.Override{} // not null
	same(map[string][]api.Override{"report created": none, "dw created": none, "licences created": none}, shown(overriddenYAML))
	w.apply(overriddenYAML)
	same(map[string][]api.Override{"report unchanged": none, "dw unchanged": none, "licences unchanged": none}, shown(overriddenYAML))

	say(http.MethodPost, "/workflows/report/triggers/loaded/disable", "")
	for _, schedule := range []string{"nightly", "2", "at%20noon"} {
		say(http.MethodPost, "/workflows/report/schedules/"+schedule+"/disable", "")
	}
	say(http.MethodPut, "/pools/dw/slots", `{"slots": 8}`)
	say(http.MethodPost, "/pools/licences/open", "")
	starters := []api.Override{
		{Path: "schedules[nightly].enabled", File: "true", Now: "false"},
		{Path: `schedules["2"].enabled`, File: "true", Now: "false"},
		{Path: `schedules["at noon"].enabled`, File: "false", Now: "false"},
		{Path: "triggers[loaded].enabled", File: "true", Now: "false"},
	}
	same(map[string][]api.Override{
		"report unchanged":   starters,
		"dw unchanged":       {{Path: "slots", File: "4", Now: "8"}},
		"licences unchanged": {{Path: "closed", File: "false", Now: "false"}},
	}, shown(overriddenYAML))
	w.apply(overriddenYAML)
	same(map[string][]api.Override{"dw updated": {{Path: "slots", File: "8", Now: "8"}}}, shown("kind: Pool\nname: dw\nslots: 8\n"))

	// What the file does not hold any more goes with it, also of a workflow that it renames.
	same(map[string][]api.Override{"weekly updated": starters[:1]},
		shown("name: weekly\nrenamed_from: report\nschedules: [{name: nightly, every: 24h}, {name: other, every: 1h}]\ntasks: {a: {run: x}}\n"))

	reset := must(json.Marshal(api.Files{Files: []api.SourceFile{{Name: "f.yaml", Content: overriddenYAML}}, ResetOverrides: true}))
	if a := w.do(http.MethodPost, "/api/v1/apply", string(reset)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	same(map[string][]api.Override{"report unchanged": none, "dw unchanged": none, "licences unchanged": none}, shown(overriddenYAML))
}
