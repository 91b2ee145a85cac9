package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

func TestSameSeedSamePlan(t *testing.T) {
	t.Parallel()
	o := Options{Registry: registryEtcd, Seed: 7, Faults: 40, Tasks: 200, Lease: 4 * time.Second}
	a, b := makePlan(o).String(), makePlan(o).String()
	o.Seed = 8
	if a != b || a == makePlan(o).String() {
		t.Error("a seed does not decide the plan")
	}
}

// at is a moment of a made-up run, in seconds.
func at(s float64) time.Time { return time.UnixMicro(int64(s * 1e6)) }

// made is a run as it should be: task b of workflow long, whose first attempt was lost with its worker.
func made() (p past, lines []entry) {
	end := func(s float64) *time.Time { e := at(s); return &e }
	p.instance = instance{ID: "1", Workflow: "long", State: "succeeded", Key: "k", Tasks: []task{
		{ID: "10", Name: "a", State: "succeeded", Valid: true, Token: 6, EndedAt: end(9)},
		{ID: "11", Name: "b", State: "succeeded", Valid: true, Token: 7, EndedAt: end(11)},
	}}
	p.attempts = []attempt{
		{TaskInstance: "10", Task: "a", Attempt: 1, Token: 5, State: "lost", Worker: "w1", GrantedAt: at(1), EndedAt: end(6)},
		{TaskInstance: "10", Task: "a", Attempt: 2, Token: 6, State: "succeeded", Worker: "w2", GrantedAt: at(6), EndedAt: end(9)},
		{TaskInstance: "11", Task: "b", Attempt: 1, Token: 7, State: "succeeded", Worker: "w2", GrantedAt: at(9), EndedAt: end(11)},
	}
	line := func(what, row string, attempt int, token int64, node string, s float64) entry {
		return entry{what: what, instance: "1", row: row, attempt: attempt, token: token, node: node, at: at(s)}
	}
	return p, []entry{
		line("begin", "10", 1, 5, "w1", 1.1), line("begin", "10", 2, 6, "w2", 6.2), line("end", "10", 2, 6, "w2", 8.9),
		line("begin", "11", 1, 7, "w2", 9.1), line("end", "11", 1, 7, "w2", 10.9),
	}
}

// judge checks a run as the checker does, and names the invariants that it finds broken.
func judge(p past, lines []entry) string {
	r := &run{
		opt: Options{Lease: time.Second}, result: &Result{looked: map[string]int{}}, seen: map[string][]sighting{},
		faults:  []*fault{{planned: planned{class: killWorker, victim: "w1"}, at: at(2), mended: at(5)}},
		started: []*started{{order{key: "k", workflow: "long"}, "1"}},
	}
	byToken, byRow := map[int64][]entry{}, map[string][]entry{}
	for _, e := range lines {
		byToken[e.token] = append(byToken[e.token], e)
		byRow[e.row] = append(byRow[e.row], e)
	}
	r.checkStarts([]past{p})
	r.checkRows(p, byRow, byToken)
	r.checkOrder(p, byRow)
	r.checkSecond(p, byToken)
	for range explain(claimModel, claimHistory(p.attempts, byToken)) {
		r.violate(invClaims, p.ID, "")
	}
	var out []string
	for _, v := range r.result.violations {
		out = append(out, v.invariant)
	}
	return strings.Join(out, "\n")
}

// Each thing that must not be is found.
func TestCheckerBites(t *testing.T) {
	t.Parallel()
	if p, lines := made(); judge(p, lines) != "" {
		t.Fatalf("what is right is found broken: %s", judge(p, lines))
	}
	for invariant, spoil := range map[string]func(p *past, lines *[]entry){
		invOneRun: func(p *past, _ *[]entry) { p.ID = "2" },
		invLost:   func(p *past, _ *[]entry) { p.Tasks = p.Tasks[:1] },
		invTokens: func(p *past, _ *[]entry) { p.attempts[1].Token, p.Tasks[0].Token = 4, 4 },
		invStale:  func(_ *past, lines *[]entry) { (*lines)[2].token = 5 },
		invOnce:   func(_ *past, lines *[]entry) { *lines = append(*lines, (*lines)[1]) },
		invOrder:  func(_ *past, lines *[]entry) { (*lines)[3].at = at(8) },
		invKilled: func(p *past, _ *[]entry) {
			p.attempts[1].State, p.attempts[1].Confirmed, p.attempts[1].EndedAt = "killed", true, p.attempts[0].EndedAt
		},
		invSecond: func(p *past, _ *[]entry) { p.attempts[0].Worker = "w3" },
		invClaims: func(p *past, lines *[]entry) { // the first attempt was taken up again after the second had succeeded
			(*lines)[0].at = at(9.05)
			p.attempts[0].GrantedAt = at(9.02)
		},
	} {
		p, lines := made()
		spoil(&p, &lines)
		if got := judge(p, lines); !strings.Contains(got, invariant) {
			t.Errorf("%q is not found broken, only %q", invariant, got)
		}
	}
}

// Only faults that together leave a worker without any master excuse that it ends what it runs.
func TestAlone(t *testing.T) {
	t.Parallel()
	f := func(class, victim, other string, from, to float64) *fault {
		return &fault{planned: planned{class: class, victim: victim, other: other}, at: at(from), mended: at(to)}
	}
	cut := f(cutPair, "w1", "m1", 2, 9)
	for name, tc := range map[string]struct {
		faults []*fault
		worker string
		end    float64
		want   bool
	}{
		"all":              {[]*fault{f(deafMaster, "m2", "", 1, 9), f(freezeMaster, "m3", "", 1.5, 9), cut}, "w1", 6, true},
		"another worker":   {[]*fault{f(deafMaster, "m2", "", 1, 9), f(freezeMaster, "m3", "", 1.5, 9), cut}, "w2", 6, false},
		"one is left":      {[]*fault{f(deafMaster, "m2", "", 1, 9), cut}, "w1", 6, false},
		"the last is late": {[]*fault{f(deafMaster, "m2", "", 1, 9), f(freezeMaster, "m3", "", 7, 9), cut}, "w1", 6, false},
		"long before":      {[]*fault{f(deafMaster, "m2", "", 1, 9), f(freezeMaster, "m3", "", 1.5, 9), cut}, "w1", 20, false},
		"one by one":       {[]*fault{f(deafMaster, "m2", "", 1, 3), f(freezeMaster, "m3", "", 3, 5), f(cutPair, "w1", "m1", 5, 9)}, "w1", 6, false},
	} {
		r := &run{opt: Options{Lease: time.Second}, faults: tc.faults, nodes: []*node{{name: "m1", role: roleMaster}, {name: "m2", role: roleMaster}, {name: "m3", role: roleMaster}}}
		end := at(tc.end)
		if got := r.alone(attempt{Worker: tc.worker, EndedAt: &end}); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestHistoriesBite(t *testing.T) {
	t.Parallel()
	call := func(from, to int, id string, existing bool) startCall {
		return startCall{key: "k", client: from, call: time.Duration(from), ret: time.Duration(to), known: id != "", id: id, existing: existing}
	}
	starts := startModel.ToModel()
	for name, c := range map[string]struct {
		model porcupine.Model
		all   []porcupine.Operation
		legal bool
	}{
		"a start and its repetition": {starts, startHistory([]startCall{call(1, 2, "a", false), call(3, 4, "a", true)}), true},
		"unanswered, then found":     {starts, startHistory([]startCall{call(1, 2, "", false), call(3, 4, "a", true)}), true},
		"unanswered, then made":      {starts, startHistory([]startCall{call(1, 2, "", false), call(3, 4, "a", false)}), true},
		"made twice":                 {starts, startHistory([]startCall{call(1, 2, "a", false), call(3, 4, "b", false)}), false},
		"found another":              {starts, startHistory([]startCall{call(1, 2, "a", false), call(3, 4, "b", true)}), false},
		"found by nobody's making":   {starts, startHistory([]startCall{call(1, 2, "a", true)}), false},
		"acknowledged and not there": {starts, startHistory([]startCall{call(1, 2, "a", false), {key: "k", client: 9, read: true, call: 3, ret: 4, known: true}}), false},
		"a name in turns":            {nameModel, nameHistory([]lockEvent{{1, true, 1, 1, 2}, {1, false, 1, 3, 4}, {2, true, 2, 3, 5}, {2, false, 2, 6, 7}}), true},
		"two hold a name":            {nameModel, nameHistory([]lockEvent{{1, true, 1, 1, 2}, {1, false, 1, 6, 7}, {2, true, 2, 3, 5}, {2, false, 2, 8, 9}}), false},
		"a number that shrinks":      {nameModel, nameHistory([]lockEvent{{1, true, 2, 1, 2}, {1, false, 2, 3, 4}, {2, true, 1, 5, 6}, {2, false, 1, 7, 8}}), false},
	} {
		if bad := explain(c.model, c.all); (len(bad) == 0) != c.legal {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

func TestRecoveryTimes(t *testing.T) {
	t.Parallel()
	f := &fault{planned: planned{class: killWorker, victim: "w1"}, at: at(2)}
	_, lines := made()
	if took, ok := beganAgain(f, lines[:2]); !ok || took != 4200*time.Millisecond {
		t.Errorf("%s %t", took, ok)
	}
	if _, ok := beganAgain(f, lines[3:]); ok {
		t.Error("a row that began later was not caught")
	}
	s := spreadOf([]time.Duration{3, 1, 2}, 2)
	if s.n != 3 || s.p50 != 2 || s.max != 3 || s.over != 1 {
		t.Errorf("%+v", s)
	}
}

func TestLedgerLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("begin 1 10 1 5 w1 12.50 1795660791.991716 5846\n")
	lines, err := readLedger(path)
	if err != nil || len(lines) != 1 || lines[0].token != 5 || lines[0].node != "w1" || lines[0].at.UnixMicro() != 1795660791991716 {
		t.Errorf("%+v %v", lines, err)
	}
	write("begin 1 10 1 5 w1\n")
	if _, err := readLedger(path); err == nil {
		t.Error("half a line is taken")
	}
}

// What the load shares, waits for and does many times is found wrong when it is.
func TestCheckerBitesOnWhatIsShared(t *testing.T) {
	t.Parallel()
	h := func(from, to float64, slots int) holding {
		return holding{from: at(from), to: at(to), slots: slots, token: int64(from * 10)}
	}
	for name, tc := range map[string]struct {
		held []holding
		want int
	}{
		"one after another": {[]holding{h(1, 2, 2), h(2, 3, 1), h(2, 4, 1)}, 0},
		"too many":          {[]holding{h(1, 3, 1), h(1.5, 3, 1), h(2, 3, 1)}, 1},
		"too large":         {[]holding{h(1, 3, 1), h(2, 3, 2)}, 1},
	} {
		if got := tooMany(tc.held, func(_, _ time.Time) int { return 2 }); len(got) != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}

	// The pool had three slots, one from 2 on, and two from 6 on; each order took half a second.
	sizes := []size{{slots: 3}, {slots: 1, asked: at(2), done: at(2.5)}, {slots: 2, asked: at(6), done: at(6.5)}}
	for name, tc := range map[string]struct {
		held []holding
		want int
	}{
		"what was held may go on":        {[]holding{h(1, 9, 2), h(1.5, 9, 1)}, 0},
		"given before, begun later":      {[]holding{h(1, 9, 2), {from: at(4), to: at(9), given: at(1.9), slots: 1}}, 0},
		"given while it was made small":  {[]holding{h(1, 9, 2), {from: at(4), to: at(9), given: at(2.4), slots: 1}}, 0},
		"given when it was small":        {[]holding{h(1, 9, 2), {from: at(4), to: at(9), given: at(2.6), slots: 1}}, 1},
		"given while it was made larger": {[]holding{h(3, 9, 1), {from: at(6.1), to: at(9), given: at(6), slots: 1}}, 0},
		"given before it was larger":     {[]holding{h(3, 9, 1), {from: at(5.9), to: at(9), given: at(5), slots: 1}}, 1},
		"more than it ever had":          {[]holding{h(7, 9, 2), h(8, 9, 1)}, 1},
	} {
		for i, held := range tc.held {
			if held.given.IsZero() {
				tc.held[i].given = held.from
			}
		}
		if got := tooMany(tc.held, func(from, to time.Time) int { return most(sizes, from, to) }); len(got) != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}

	found := func(check func(r *run)) string {
		r := &run{result: &Result{looked: map[string]int{}}}
		check(r)
		for _, v := range r.result.violations {
			return v.invariant
		}
		return ""
	}
	results := func(n int) map[string]json.RawMessage {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"item": "%d"}`, i))
		}
		return map[string]json.RawMessage{"results": json.RawMessage("[" + strings.Join(list, ",") + "]")}
	}
	mapped := func() (past, map[int64][]entry) {
		p := past{instance: instance{ID: "1", Workflow: "items", Tasks: []task{{Name: "m", State: "succeeded", Valid: true, Outputs: results(6)}}}}
		lines := map[int64][]entry{}
		for i := range 6 {
			token := int64(10 + i)
			p.items = append(p.items, item{"m", i, "succeeded", token})
			p.attempts = append(p.attempts, attempt{TaskInstance: fmt.Sprint(i), Token: token, State: "succeeded"})
			lines[token] = []entry{{what: "end", instance: "1"}}
		}
		return p, lines
	}
	for name, spoil := range map[string]func(p *past, lines map[int64][]entry){
		"":               func(*past, map[int64][]entry) {},
		"a result less":  func(p *past, _ map[int64][]entry) { p.Tasks[0].Outputs = results(5) },
		"an item failed": func(p *past, _ map[int64][]entry) { p.items[3].State = "failed" },
		"it did not end": func(_ *past, lines map[int64][]entry) { delete(lines, 12) },
		"two ended":      func(p *past, _ map[int64][]entry) { p.attempts[1].TaskInstance = "0" },
		"out of order": func(p *past, _ map[int64][]entry) {
			p.Tasks[0].Outputs = map[string]json.RawMessage{"results": []byte(`[{"item":"1"},{"item":"0"},{"item":"2"},{"item":"3"},{"item":"4"},{"item":"5"}]`)}
		},
	} {
		p, lines := mapped()
		spoil(&p, lines)
		if got := found(func(r *run) { r.checkItems(p, lines) }); (got == invItems) != (name != "") {
			t.Errorf("a map, %s: %q", name, got)
		}
	}

	for name, spoil := range map[string]func(p *past){
		"":                             func(*past) {},
		"an item rests alone":          func(p *past) { p.items[3].State = "paused" },
		"an item waits":                func(p *past) { p.items[3].State = "queued" },
		"one set aside runs":           func(p *past) { p.attempts = append(p.attempts, attempt{Task: "m[2]", Token: 40, State: "running"}) },
		"it wrote when it was no more": func(p *past) { p.attempts[3].State, p.attempts[3].Confirmed = "killed", true },
		"it succeeded again":           func(p *past) { p.attempts[1].Task = "m[0]" },
		"it did so before an order": func(p *past) {
			p.attempts[1].Task, p.outcomes = "m[0]", []outcome{{Verb: "rerun", Applied: true, At: at(30)}}
		},
		"it was told to, in vain": func(p *past) {
			p.attempts[1].Task, p.outcomes = "m[0]", []outcome{{Verb: "rerun", At: at(10)}, {Verb: "recover", Applied: true, At: at(10)}}
		},
	} {
		p, lines := mapped()
		p.State = "succeeded"
		for i := range p.attempts {
			end := at(float64(11 + i))
			p.attempts[i].Task, p.attempts[i].GrantedAt, p.attempts[i].EndedAt = fmt.Sprintf("m[%d]", i), at(float64(10+i)), &end
			lines[p.attempts[i].Token][0].at = end.Add(time.Millisecond)
		}
		spoil(&p)
		if got := found(func(r *run) { r.checkMaps(p, lines) }); (got == "") != (name == "") {
			t.Errorf("items, %s: %q", name, got)
		}
		if name == "an item rests alone" {
			p.Tasks[0].State = "paused"
			if got := found(func(r *run) { r.checkMaps(p, lines) }); got != "" {
				t.Errorf("an item that rests with its map: %q", got)
			}
		}
		if name != "it succeeded again" {
			continue
		}
		p.outcomes = []outcome{{Verb: "task.retry", Applied: true, At: at(10.5)}}
		if got := found(func(r *run) { r.checkMaps(p, lines) }); got != "" {
			t.Errorf("items that were to be done again: %q", got)
		}
	}

	day := at(1000)
	for ended, want := range map[float64]string{3: "", 5: invFollow} {
		first := past{instance: instance{ID: "1", Workflow: ahead, DataTime: day, Tasks: []task{{ID: "10", Name: "a", State: "succeeded"}}}}
		second := past{instance: instance{ID: "2", Workflow: follower, DataTime: day, Tasks: []task{{ID: "20", Name: "z"}}}}
		rows := map[string][]entry{"10": {{what: "end", at: at(ended)}}, "20": {{what: "begin", at: at(4)}}}
		if got := found(func(r *run) { r.checkFollowers([]past{first, second}, rows) }); got != want {
			t.Errorf("the upstream ended at %v: %q", ended, got)
		}
	}
}

// What happened outside is found wrong when it was lost or counted twice.
func TestCheckerBitesOnTriggers(t *testing.T) {
	t.Parallel()
	ran := func(id, key string, s float64) instance {
		return instance{ID: id, Trigger: triggerEvent, Params: map[string]string{"key": key}, DataTime: at(s)}
	}
	fired := func(id, cause string) event { return event{State: "fired", Cause: cause, Instance: id} }
	verdict := func(broken []violation) string {
		if len(broken) == 0 {
			return ""
		}
		return broken[0].invariant
	}

	files := []moved{{"/in/a", at(1), at(1.1)}, {"/in/b", at(2), at(4)}}
	for name, spoil := range map[string]func(t *triggered){
		"":            func(*triggered) {},
		"one is lost": func(t *triggered) { t.runs, t.events = t.runs[:1], t.events[:1] },
		"one has two runs": func(t *triggered) {
			t.runs, t.events = append(t.runs, ran("3", "/in/a", 1)), append(t.events, fired("3", ""))
		},
		"nobody moved it": func(t *triggered) {
			t.runs, t.events = append(t.runs, ran("3", "/in/c", 1)), append(t.events, fired("3", ""))
		},
		"for another time":     func(t *triggered) { t.runs[1].DataTime = at(4.2) },
		"a run of no event":    func(t *triggered) { t.events = t.events[1:] },
		"a run of two events":  func(t *triggered) { t.events[1].Instance = "1" },
		"a run that never was": func(t *triggered) { t.events = append(t.events, fired("3", "")) },
		"skipped for nothing":  func(t *triggered) { t.events = append(t.events, event{State: "skipped"}) },
	} {
		tr := triggered{workflow: arrives, runs: []instance{ran("1", "/in/a", 1), ran("2", "/in/b", 3)}, events: []event{fired("1", ""), fired("2", "")}}
		spoil(&tr)
		if got := verdict(brokenFiles(files, tr)); (got == invFiles) != (name != "") {
			t.Errorf("files, %s: %q", name, got)
		}
	}

	// Nobody listened from 10 to 15; one was sent before, two meanwhile, one perhaps later, and one then.
	const cause = "perhaps nobody listened from 1970-01-01T00:00:10Z to 1970-01-01T00:00:15Z: the master that listened has ended"
	sent := []notice{{"a", at(5), at(5.1), true}, {"b", at(8.9), at(9.1), true}, {"c", at(16.9), at(17.1), true}, {"d", at(30), at(31), false}, {"e", at(45), at(45.1), true}}
	for name, tc := range map[string]struct {
		spoil func(t *triggered, sent []notice)
		want  string
	}{
		"as it should be":             {func(*triggered, []notice) {}, ""},
		"one is lost":                 {func(t *triggered, _ []notice) { t.runs, t.events = t.runs[1:], t.events[1:] }, invNotices},
		"lost before nobody listened": {func(_ *triggered, sent []notice) { sent[1].done = at(8.95) }, invNotices},
		"lost when one did again":     {func(_ *triggered, sent []notice) { sent[2].asked = at(17.05) }, invNotices},
		"one has two runs": {func(t *triggered, _ []notice) {
			t.runs, t.events = append(t.runs, ran("3", "a", 5)), append(t.events, fired("3", ""))
		}, invNotices},
		"nobody sent it": {func(t *triggered, _ []notice) {
			t.runs, t.events = append(t.runs, ran("3", "x", 5)), append(t.events, fired("3", ""))
		}, invNotices},
		"what was perhaps sent": {func(t *triggered, _ []notice) {
			t.runs, t.events = append(t.runs, ran("3", "d", 30)), append(t.events, fired("3", ""))
		}, ""},
		"nothing made up for it": {func(t *triggered, _ []notice) {
			t.runs, t.events[1] = slices.Delete(t.runs, 1, 2), event{State: "skipped", Cause: cause, Reason: "lost"}
		}, invGaps},
		"one that was heard": {func(t *triggered, _ []notice) { t.events[1].Cause = strings.Replace(cause, "15Z", "50Z", 1) }, invGaps},
		"made up for twice": {func(t *triggered, _ []notice) {
			t.runs, t.events = append(t.runs, ran("3", missedKey, 15)), append(t.events, fired("3", ""))
		}, invGaps},
	} {
		tr := triggered{workflow: makesUp, runs: []instance{ran("1", "a", 5), ran("2", missedKey, 15), ran("4", "e", 45)}, events: []event{fired("1", ""), fired("2", cause), fired("4", "")}}
		told := slices.Clone(sent)
		tc.spoil(&tr, told)
		if got := verdict(brokenNotices(told, tr, true)); got != tc.want {
			t.Errorf("notifications, %s: %q", name, got)
		}
	}
	plain := triggered{workflow: hears, runs: []instance{ran("1", "a", 5), ran("4", "e", 45)}, events: []event{fired("1", ""), {State: "skipped", Cause: cause, Reason: "lost"}, fired("4", "")}}
	if got := brokenNotices(sent, plain, false); len(got) > 0 {
		t.Errorf("nothing makes up for it: %v", got)
	}
	plain.runs, plain.events[1] = append(plain.runs, ran("2", missedKey, 15)), fired("2", cause)
	if got := verdict(brokenNotices(sent, plain, false)); got != invGaps {
		t.Errorf("made up for, and nobody wanted it: %q", got)
	}
}
