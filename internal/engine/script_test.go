// Scenarios as scripts: testdata/*.txt hold commands and, below "----", what they print. The file
// reads as documentation of what a run means; `go test -update` writes the answers anew.
//
//	workflow          the lines below it define one (see define_test.go); a new world begins
//	begin             [dry] [tasks=A,B] [mode=only] [failure=end] [name=value …]
//	place TASK        a session takes it; start TASK; end TASK ok|fail|killed|lost|void …
//	run TASK …        place, start and end; prints the end
//	refuse, lose, suspect, rebind, alive, stuck TASK
//	verb NAME [TASK]  stop may say compensate
//	advance 30s       moves the clock, stopping wherever the instance asked to be woken
//	quarantine, reload, rows, attempts, explain [TASK], order TASK, outputs

package engine

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"baton/internal/flow"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

func runScript(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t}
	var out bytes.Buffer
	for _, b := range parseScript(string(raw)) {
		out.WriteString(b.comment)
		if b.command == "" {
			continue
		}
		p.at = fmt.Sprintf("%s:%d: %s", file, b.line, b.command)
		fmt.Fprintf(&out, "%s\n", b.command)
		if b.input != "" {
			out.WriteString(b.input)
		}
		fmt.Fprintf(&out, "----\n%s\n", p.play(b.command, b.input))
	}
	if bytes.Equal(raw, out.Bytes()) {
		return
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s differs; look at it with -update and git diff\n%s", file, firstDiff(string(raw), out.String()))
}

func firstDiff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant:\n%s\ngot:\n%s", i+1, strings.Join(w[min(i, len(w)):min(i+8, len(w))], "\n"), strings.Join(g[min(i, len(g)):min(i+8, len(g))], "\n"))
		}
	}
	return ""
}

// block is one command of a script: comments and blank lines before it, its input, its answer.
type block struct {
	line                    int
	comment, command, input string
}

func parseScript(text string) []block {
	var out []block
	var b block
	inAnswer, inInput := false, false
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case inAnswer:
			if line == "" {
				inAnswer = false
				out = append(out, b)
				b = block{}
			}
		case line == "----":
			inAnswer, inInput = true, false
		case inInput:
			b.input += line + "\n"
		case line == "" || strings.HasPrefix(line, "#"):
			b.comment += line + "\n"
		default:
			b.command, b.line = line, i+1
			inInput = true
		}
	}
	return append(out, b)
}

// player carries out the commands of one script.
type player struct {
	t  *testing.T
	at string
	w  *world
	wf flow.Workflow
}

func (p *player) Helper()                        {}
func (p *player) Fatalf(format string, a ...any) { p.t.Fatalf(p.at+": "+format, a...) }

func (p *player) play(command, input string) string {
	words := strings.Fields(command)
	name, args := words[0], words[1:]
	if p.w == nil && name != "workflow" && name != "begin" {
		p.Fatalf("no workflow has begun")
	}
	w := p.w
	switch name {
	case "workflow":
		wf, err := define(input)
		if err != nil {
			p.Fatalf("%v", err)
		}
		if _, err := Compile(flow.Definition{Name: "wf", Workflow: wf}, testTypes); err != nil {
			return "error: " + err.Error() + "\n"
		}
		p.wf = wf
		return "ok\n"
	case "begin":
		start, err := startOf(args)
		if err != nil {
			p.Fatalf("%v", err)
		}
		if err := CheckStart(compileTest(p, p.wf), start, epoch); err != nil {
			return "refused: " + err.Error() + "\n"
		}
		p.w = newWorld(p, p.wf, start)
		p.w.apply(Begin{})
		return p.told()
	case "place":
		w.place(args[0])
	case "start":
		w.start(args[0])
	case "run", "end":
		if name == "run" {
			w.place(args[0])
			w.start(args[0])
		}
		w.end(args[0], p.result(args[1:]))
	case "refuse", "lose", "suspect", "rebind", "alive":
		row := w.s.Rows[w.row(args[0])]
		token := row.Attempt.Token
		w.apply(map[string]Event{
			"refuse":  Refused{Task: row.ID, Token: token, Reason: "full"},
			"lose":    Lost{Task: row.ID, Token: token, Reason: "its lease ended"},
			"suspect": Suspected{Task: row.ID, Token: token},
			"rebind":  Rebound{Task: row.ID, Token: token, Session: 2},
			"alive":   Alive{Task: row.ID, Token: token},
		}[name])
	case "stuck":
		w.apply(Stuck{Row: w.row(args[0]), Reason: strings.Join(args[1:], " "), Next: w.now.Add(time.Minute)})
	case "verb":
		v := flow.Verb{Name: args[0], By: "ann"}
		for _, a := range args[1:] {
			choice, chosen := strings.CutPrefix(a, "choose=")
			name, value, fills := strings.Cut(a, "=")
			switch {
			case a == "long": // a comment that fits no output
				v.Comment = strings.Repeat("x", flow.MaxOutputsPerTask)
			case a == "compensate" && v.Name == flow.VerbStop:
				v.Compensate = true
			case a == "stale": // of the store, before it ran again
				v.Times = w.s.Inst.RunTimes - 1
			case a == "parent":
				v.Parent = 77
			case chosen:
				v.Choice = choice
			case fills:
				v.Fields = map[string]string{name: value}
			default:
				v.Task = a
			}
		}
		w.verb(v)
	case "looked": // TASK [nothing|gone]: the store answers
		w.looked(args)
	case "event": // TASK name=value …: what it waits for is sent
		params := map[string]string{}
		for _, a := range args[1:] {
			key, value, _ := strings.Cut(a, "=")
			params[key] = value
		}
		w.apply(EventHeard{flow.EventNews{Row: w.s.Rows[w.row(args[0])].ID, Params: params}})
	case "told": // TASK: something that it follows has ended
		w.apply(UpstreamTold{flow.UpstreamNews{Row: w.s.Rows[w.row(args[0])].ID}})
	case "child": // TASK STATE [outputs]: the run that it began tells
		state, err := flow.ParseInstanceState(args[1])
		if err != nil {
			p.Fatalf("%v", err)
		}
		row := w.s.Rows[w.row(args[0])]
		w.apply(ChildTold{flow.ChildNews{Child: row.Child(), Row: row.ID, State: state, Reason: "task_failed", Outputs: json.RawMessage(strings.Join(args[2:], " "))}})
	case "admit":
		a := flow.Admission{Discard: slices.Contains(args, "discard"), Times: w.s.Inst.RunTimes}
		switch {
		case slices.Contains(args, "stale"):
			a.Times--
		case len(args) > 0 && !a.Discard: // so long ago
			ago, err := flow.ParseDuration(args[0])
			if err != nil {
				p.Fatalf("%v", err)
			}
			a.At = w.now.Add(-ago.Std())
		}
		w.apply(Admitted{Inbox: 77, Admission: a})
	case "give": // TASK [stale]: it gets the slots of its pool that it claimed, or once had claimed
		if len(args) > 1 {
			w.apply(SlotsGiven{flow.GivenSlots{Task: w.s.Rows[w.row(args[0])].ID, Claim: 7}})
		} else {
			w.apply(w.slots(w.row(args[0])))
		}
	case "advance":
		return p.advance(args[0])
	case "quarantine":
		w.quarantine("panic: a broken invariant")
		w.fx, w.change = Effects{}, flow.Change{}
	case "reload":
		w.s = w.load()
		w.fx, w.change = w.s.Resume(), flow.Change{}
	default:
		return p.show(name, args)
	}
	return p.told()
}

func startOf(args []string) (flow.Start, error) {
	var s flow.Start
	var err error
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "dry":
			s.DryRun = true
		case "tasks":
			s.Tasks = strings.Split(value, ",")
		case "mode":
			s.Mode = flow.StartMode(value)
		case "failure":
			s.Failure = flow.Failure(value)
		case "group":
			s.WorkerGroup = value
		case "priority":
			s.Priority, err = flow.ParsePriority(value)
		case "parent":
			s.Parent, err = flow.ParseID(value)
		default:
			if s.Params == nil {
				s.Params = map[string]string{}
			}
			s.Params[key] = value
		}
	}
	return s, err
}

// result reads how an attempt ended: ok {"n": 1} | fail exit:75 [infra] | killed | lost | void, and
// token=N for one that is not the current one, log=REGEX for a line that matched.
func (p *player) result(args []string) flow.Result {
	res := flow.Result{ExitCode: flow.NoExit, Confirmed: true, Started: p.w.now, Ended: p.w.now}
	for i, a := range args {
		key, value, _ := strings.Cut(a, "=")
		switch {
		case a == "ok":
			res.State, res.ExitCode = flow.AttemptSucceeded, 0
		case a == "big": // two of them are more than a task may hand on
			res.State, res.ExitCode = flow.AttemptSucceeded, 0
			res.Outputs = fmt.Appendf(nil, `{"v": "%s"}`, strings.Repeat("x", flow.MaxOutputsPerTask*2/3))
		case a == "fail":
			res.State, res.Class, res.Cause, res.ExitCode = flow.AttemptFailed, flow.ClassUser, "exit:1", 1
		case a == "killed":
			res.State = flow.AttemptKilled
		case a == "lost":
			res.State, res.Confirmed = flow.AttemptLost, false
		case a == "void":
			res.State, res.Started = flow.AttemptVoid, 0
		case a == "infra":
			res.Class = flow.ClassInfrastructure
		case strings.HasPrefix(a, "exit:"):
			res.Cause = a
			fmt.Sscanf(a, "exit:%d", &res.ExitCode)
		case strings.HasPrefix(a, "signal"), a == "timeout":
			res.Cause, res.ExitCode = a, flow.NoExit
		case key == "token":
			fmt.Sscan(value, &res.Token)
		case key == "log":
			res.Matched = append(res.Matched, value)
		case strings.HasPrefix(a, "{"), strings.HasPrefix(a, "["):
			res.Outputs = json.RawMessage(strings.Join(args[i:], " "))
			return res
		default:
			p.Fatalf("no word %q in a result", a)
		}
	}
	return res
}

// advance moves the clock like a master does: it wakes the instance whenever it asked for it.
func (p *player) advance(by string) string {
	d, err := time.ParseDuration(by)
	if err != nil {
		p.Fatalf("%v", err)
	}
	var out strings.Builder
	until := p.w.now.Add(d)
	for n := 0; p.w.inst.WakeAt != 0 && p.w.inst.WakeAt <= until; n++ {
		if n > 50 {
			p.Fatalf("woken without end at %s", p.since(p.w.inst.WakeAt))
		}
		p.w.now = max(p.w.now, p.w.inst.WakeAt)
		p.w.apply(Due{})
		fmt.Fprintf(&out, "at %s:\n%s", p.since(p.w.now), p.told())
	}
	p.w.now = until
	if out.Len() == 0 {
		return "nothing is due\n"
	}
	return out.String()
}

func (p *player) since(t flow.Time) string {
	if t == 0 {
		return "-"
	}
	return "t+" + flow.Duration(t.Sub(epoch)).String()
}

// told prints what the last event changed: the instance, its rows, outcomes, alerts, effects.
func (p *player) told() string {
	w := p.w
	var b strings.Builder
	fmt.Fprintf(&b, "%s", w.inst.State)
	if w.inst.WakeAt != 0 {
		fmt.Fprintf(&b, ", wakes at %s", p.since(w.inst.WakeAt))
	}
	if w.inst.Reason != "" {
		fmt.Fprintf(&b, " (%s)", w.inst.Reason)
	}
	b.WriteByte('\n')
	for _, row := range w.change.NewTasks {
		fmt.Fprintf(&b, "  + %s\n", p.rowLine(row))
	}
	for _, u := range w.change.Tasks {
		fmt.Fprintf(&b, "  ~ %s\n", p.rowLine(u.Row))
	}
	for _, a := range w.change.Past {
		fmt.Fprintf(&b, "  past %s\n", p.attemptLine(a))
	}
	for _, o := range w.change.Outcomes {
		if o.Applied {
			fmt.Fprintf(&b, "  %s: applied\n", o.Verb)
		} else {
			fmt.Fprintf(&b, "  %s: refused, %s\n", o.Verb, o.Reason)
		}
	}
	for _, a := range w.change.Alerts {
		fmt.Fprintf(&b, "  alert %s: %s\n", a.Kind, a.Message)
	}
	for _, c := range w.change.Commands {
		fmt.Fprintf(&b, "  begins run %d of workflow %d: %s\n", c.ID, c.Workflow, c.Start)
	}
	for _, n := range w.change.News {
		fmt.Fprintf(&b, "  tells run %d: %s %s\n", n.Instance, n.Kind, n.Payload)
	}
	for _, f := range w.change.Follows {
		fmt.Fprintf(&b, "  follows workflow %d", f.Workflow)
		if f.Workflow == 0 {
			fmt.Fprintf(&b, " and %s\n", f.Task)
			continue
		}
		if f.Task != "" {
			fmt.Fprintf(&b, " task %s", f.Task)
		}
		if f.Span.From > math.MinInt64 {
			fmt.Fprintf(&b, ", from %s to %s", f.Span.From, f.Span.To)
		}
		b.WriteByte('\n')
	}
	for range w.change.Unfollow {
		b.WriteString("  follows nothing any more\n")
	}
	for _, c := range w.change.Claims {
		fmt.Fprintf(&b, "  claims %s of %s, priority %s\n", flow.CountSlots(c.Slots), c.Named(), c.Priority)
	}
	for _, c := range w.change.Unclaims {
		fmt.Fprintf(&b, "  gives back %s\n", c.Named())
	}
	for _, e := range []struct {
		name string
		rows []int32
	}{{"look up for", w.fx.Lookups}, {"queue", w.fx.Queued}, {"ask about", w.fx.Asked}, {"grant", w.fx.Granted}, {"let begin", w.fx.Begun}, {"kill", w.fx.Killing}} {
		if len(e.rows) > 0 {
			var list []string
			for _, r := range e.rows {
				list = append(list, w.s.Rows[r].Name)
			}
			fmt.Fprintf(&b, "  -> %s %s\n", e.name, strings.Join(list, ", "))
		}
	}
	return b.String()
}

func (p *player) rowLine(row flow.TaskRow) string {
	i := slices.IndexFunc(p.w.rows, func(r flow.TaskRow) bool { return r.ID == row.ID })
	row = p.w.rows[i] // with its token
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", row.Name, row.State)
	if !row.Valid {
		b.WriteString(", superseded")
	}
	if row.Reason != "" {
		fmt.Fprintf(&b, " (%s)", row.Reason)
	}
	if row.NextCheck != 0 {
		fmt.Fprintf(&b, " next %s", p.since(row.NextCheck))
	}
	if row.Held {
		b.WriteString(" [held]")
	}
	switch n := len(row.Outputs); {
	case n > 1000:
		fmt.Fprintf(&b, " outputs of %d bytes", n)
	case n > 0:
		fmt.Fprintf(&b, " outputs %s", row.Outputs)
	}
	if row.Attempt.Number > 0 || row.Attempt.Token > 0 {
		fmt.Fprintf(&b, "; attempt %s", p.attemptLine(row.Attempt))
	}
	return b.String()
}

func (p *player) attemptLine(a flow.AttemptRow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", a.Number, a.State)
	if a.Token != 0 {
		fmt.Fprintf(&b, ", token %d", a.Token)
	}
	if a.Infra != 0 {
		fmt.Fprintf(&b, ", infra %d", a.Infra)
	}
	if a.Cause != "" {
		fmt.Fprintf(&b, ", %s", a.Cause)
	}
	if a.Class != "" {
		fmt.Fprintf(&b, " (%s)", a.Class)
	}
	if a.State == flow.AttemptKilled && !a.Confirmed || a.State == flow.AttemptUnknown {
		b.WriteString(", not confirmed")
	}
	if a.Refused {
		b.WriteString(", a late result was refused")
	}
	return b.String()
}

// show answers the commands that change nothing.
func (p *player) show(name string, args []string) string {
	var b strings.Builder
	switch name {
	case "rows":
		for _, row := range p.w.rows {
			fmt.Fprintf(&b, "%s; run %d, started %s, ended %s\n", p.rowLine(row), row.RunTimes, p.since(row.StartedAt), p.since(row.EndedAt))
		}
	case "states":
		for _, row := range p.w.rows {
			if row.Valid {
				fmt.Fprintf(&b, "%s %s", row.Name, row.State)
				if row.State.Ended() && row.Reason != "" {
					fmt.Fprintf(&b, " (%s)", row.Reason)
				}
				b.WriteByte('\n')
			}
		}
	case "attempts":
		for _, a := range p.w.past {
			fmt.Fprintf(&b, "%s\n", p.attemptLine(a))
		}
	case "outputs":
		fmt.Fprintf(&b, "params %s outputs %s\n", p.w.inst.Params, p.w.inst.Outputs)
	case "explain":
		task := ""
		if len(args) > 0 {
			task = args[0]
		}
		b.WriteString(p.explain(task))
	case "order":
		o, err := p.w.s.Order(p.w.row(args[0]))
		if err != nil {
			return "error: " + err.Error() + "\n"
		}
		raw, err := json.MarshalIndent(o, "", " ")
		if err != nil {
			p.Fatalf("%v", err)
		}
		b.Write(raw)
		b.WriteByte('\n')
	case "instance":
		i := p.w.inst
		fmt.Fprintf(&b, "%s, run %d, started %s, ended %s, paused for %s\n", i.State, i.RunTimes, p.since(i.StartedAt), p.since(i.EndedAt), flow.Duration(time.Duration(i.PausedFor)*time.Microsecond))
	default:
		p.Fatalf("no command %q", name)
	}
	return b.String()
}

func (p *player) explain(task string) string {
	e := Explain(p.w.s, task, p.w.now)
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) next %s\n", e.State, e.Reason, p.since(e.NextCheck))
	for _, t := range e.Tasks {
		if task != "" && t.Name != task {
			continue
		}
		fmt.Fprintf(&b, "%s [%s] %s; next %s\n", t.Name, t.State, t.Reason, p.since(t.NextCheck))
		if task == "" {
			continue
		}
		for _, o := range t.Params {
			fmt.Fprintf(&b, "  %s = %q from %s\n", o.Name, o.Value, o.From)
		}
		if t.Script != "" {
			fmt.Fprintf(&b, "  script %q\n", t.Script)
		}
	}
	return b.String()
}
