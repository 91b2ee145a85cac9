// What people read: a verdict for each invariant, times of recovery, and the evidence when one is broken.

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Result is how a run went.
type Result struct {
	Options Options
	Dir     string // of the run, "" when it is gone
	Network string
	Last    uint64 // seed of several runs that were added up; 0: it is one

	took                                        time.Duration
	lines, runs, tasks, attempts, lost, excused int
	looked                                      map[string]int
	violations                                  []violation
	faulty                                      []string
	faults                                      []*fault
	recoveries                                  []recovery
	lates                                       []lateness
}

// Failed tells whether anything is wrong.
func (r *Result) Failed() bool {
	return len(r.violations) > 0 || len(r.faulty) > 0 || r.Options.Strict && len(r.late()) > 0
}

// Add adds a later run with the same registry and lease to this one.
func (r *Result) Add(o *Result) {
	r.Last = o.Options.Seed
	r.took += o.took
	r.lines, r.runs, r.tasks, r.attempts = r.lines+o.lines, r.runs+o.runs, r.tasks+o.tasks, r.attempts+o.attempts
	r.lost, r.excused = r.lost+o.lost, r.excused+o.excused
	sum := maps.Clone(r.looked)
	for inv, n := range o.looked {
		sum[inv] += n
	}
	r.looked = sum
	r.violations = append(slices.Clip(r.violations), o.violations...)
	r.faulty = append(slices.Clip(r.faulty), o.faulty...)
	r.faults = append(slices.Clip(r.faults), o.faults...)
	r.recoveries = append(slices.Clip(r.recoveries), o.recoveries...)
	r.lates = append(slices.Clip(r.lates), o.lates...)
}

// late are the recoveries that took longer than the design promises.
func (r *Result) late() []recovery {
	return slices.DeleteFunc(slices.Clone(r.recoveries), func(x recovery) bool {
		b := bound(x.class, r.Options.Lease)
		return b == 0 || x.took <= b
	})
}

// Write writes the report.
func (r *Result) Write(w io.Writer) {
	seeds := fmt.Sprintf("seed %d", r.Options.Seed)
	if r.Last != 0 {
		seeds = fmt.Sprintf("seeds %d to %d", r.Options.Seed, r.Last)
	}
	fmt.Fprintf(w, "registry %s, %s, lease %s, %s: %d faults in %s; %d runs, %d tasks, %d attempts (%d of them lost), %d lines in the ledger\n\n",
		r.Options.Registry, seeds, r.Options.Lease, r.Network, len(r.faults), r.took.Round(time.Second), r.runs, r.tasks, r.attempts, r.lost, r.lines)
	fmt.Fprintf(w, "| invariant | looked at | broken |\n|---|--:|--:|\n")
	for _, inv := range invariants {
		n := 0
		for _, v := range r.violations {
			if v.invariant == inv {
				n++
			}
		}
		if n == 0 && inv == invDisturbed && r.looked[inv] == 0 {
			continue
		}
		looked := fmt.Sprint(r.looked[inv])
		if inv == invWhole || inv == invFell {
			looked = fmt.Sprint(len(r.faults))
		}
		fmt.Fprintf(w, "| %s | %s | %d |\n", inv, looked, n)
	}
	fmt.Fprintf(w, "\n| fault | times | caught | p50 | p99 | max | promised | later |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, class := range r.classes() {
		var times []time.Duration
		for _, x := range r.recoveries {
			if x.class == class {
				times = append(times, x.took)
			}
		}
		n := 0
		for _, f := range r.faults {
			if f.class == class && !f.idle {
				n++
			}
		}
		b := bound(class, r.Options.Lease)
		s := spreadOf(times, b)
		promised, later := "", ""
		if b > 0 {
			promised, later = b.String(), fmt.Sprint(s.over)
		}
		if s.n == 0 {
			fmt.Fprintf(w, "| %s | %d | 0 | | | | %s | |\n", class, n, promised)
			continue
		}
		fmt.Fprintf(w, "| %s | %d | %d | %s | %s | %s | %s | %s |\n", class, n, s.n, short(s.p50), short(s.p99), short(s.max), promised, later)
	}
	r.writeLates(w)
	if r.excused > 0 {
		fmt.Fprintf(w, "\n%d attempts were lost while this machine stood still for an eighth of a lease or longer: not judged.\n", r.excused)
	}
	if r.Last != 0 {
		return // what each has shown is told of each
	}
	for _, x := range r.late() {
		fmt.Fprintf(w, "\nlate: fault %d (%s), run %s: %s", x.fault, x.class, x.run, short(x.took))
	}
	for _, v := range r.violations {
		fmt.Fprintf(w, "\nBROKEN: %s: %s", v.invariant, v.text)
	}
	for _, f := range r.faulty {
		fmt.Fprintf(w, "\nFAULTY: %s", f)
	}
	if r.Failed() {
		fmt.Fprintf(w, "\nthe same again: %s\nlogs and evidence: %s\n", r.Options.command(), r.Dir)
	}
}

// writeLates writes how long after their time schedules were decided about, by what was broken meanwhile.
func (r *Result) writeLates(w io.Writer) {
	fmt.Fprintf(w, "\n| broken while a schedule was due | times | p50 | p99 | max |\n|---|--:|--:|--:|--:|\n")
	for _, class := range append(append([]string{calmly}, r.classes()...), together, "all") {
		var times []time.Duration
		for _, l := range r.lates {
			if l.class == class || class == "all" {
				times = append(times, l.took)
			}
		}
		if s := spreadOf(times, 0); s.n > 0 {
			fmt.Fprintf(w, "| %s | %d | %s | %s | %s |\n", class, s.n, short(s.p50), short(s.p99), short(s.max))
		}
	}
}

func (r *Result) classes() []string {
	var out []string
	for _, f := range r.faults {
		if !slices.Contains(out, f.class) {
			out = append(out, f.class)
		}
	}
	order := []string{killMaster, termMaster, freezeMaster, cutMaster, muteMaster, deafMaster, cutStore, cutRegistry, killProper, killSupervisor, killWorker, freezeWorker, cutWorker, muteWorker, deafWorker, cutPair, fullDisk, loseStore, stopStore, crashStore, sessionsStore, killRegistry, killAPI, freezeLock, cutLock}
	slices.SortFunc(out, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return out
}

func (o Options) command() string {
	s := fmt.Sprintf("make chaos CHAOS='-registry %s -seed %d -faults %d -tasks %d -lease %s", o.Registry, o.Seed, o.Faults, o.Tasks, o.Lease)
	if o.Classes != nil {
		s += fmt.Sprintf(" -classes %q", strings.Join(o.Classes, ","))
	}
	if o.Proxy {
		s += " -proxy"
	}
	return s + "'"
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// writeFaults notes beside the logs what was done when.
func (r *run) writeFaults() {
	var faults bytes.Buffer
	for _, f := range r.faults {
		fmt.Fprintf(&faults, "%s … %s  %d %s\n", clock(f.at), clock(f.mended), f.number, f.planned)
	}
	r.write(filepath.Join(r.dir, "faults"), faults.Bytes())
}

// writeOrders notes beside the logs what schedules were when.
func (r *run) writeOrders() {
	var orders bytes.Buffer
	for _, of := range r.reigns {
		for _, g := range of.list {
			what := "no times"
			if g.timed != nil {
				what = g.span() + " until " + clock(g.end)
			}
			fmt.Fprintf(&orders, "%s … %s  %s %s: %s (%s)\n", clock(g.asked), clock(g.acked), of.workflow, of.schedule, what, g.order)
		}
	}
	r.write(filepath.Join(r.dir, "orders"), orders.Bytes())
}

// writeFires notes what became of the times of schedules, the latest decision first.
func (r *run) writeFires(rows []fire) {
	var fires bytes.Buffer
	for _, f := range rows {
		fmt.Fprintf(&fires, "%s … %s  %d  %s %s: %s at %s, run %s %s\n", clock(f.Nominal), clock(f.Last), f.Times, f.Workflow, f.Schedule, f.State, clock(f.At), f.Instance, f.Reason)
	}
	r.write(filepath.Join(r.dir, "fires"), fires.Bytes())
}

// writeEvents notes what became of the events of a workflow's trigger, the latest first.
func (r *run) writeEvents(t triggered) {
	var events bytes.Buffer
	for _, e := range t.events {
		fmt.Fprintf(&events, "%s: %s, run %s: %s\n", clock(e.At), e.State, e.Instance, e.Cause)
	}
	r.write(filepath.Join(r.dir, "events-"+t.workflow), events.Bytes())
}

// writeOutside notes what was done outside, which triggers wait for, and to pools.
func (r *run) writeOutside() {
	var done bytes.Buffer
	for _, m := range r.moved {
		fmt.Fprintf(&done, "%s … %s  file %s\n", clock(m.from), clock(m.to), m.path)
	}
	for _, n := range r.sent {
		fmt.Fprintf(&done, "%s … %s  notification %s, sent: %t\n", clock(n.asked), clock(n.done), n.payload, n.sent)
	}
	for _, name := range slices.Sorted(maps.Keys(r.sizes)) {
		for _, s := range r.sizes[name] {
			fmt.Fprintf(&done, "%s … %s  pool %s gives %d slots: %s\n", clock(s.asked), clock(s.done), name, s.slots, s.order)
		}
	}
	r.write(filepath.Join(r.dir, "outside"), done.Bytes())
}

// evidence writes, for each run that something is wrong with, everything that is known of it.
func (r *run) evidence(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for _, n := range r.nodes { // they may have been stopped
		if err := n.start(); err != nil {
			r.log("for the evidence: %v", err)
		}
	}
	dir := filepath.Join(r.dir, "evidence")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.log("%v", err)
		return
	}
	done := map[string]bool{"": true}
	for _, v := range r.result.violations {
		if done[v.instance] || len(done) > 20 {
			continue
		}
		done[v.instance] = true
		r.evidenceOf(ctx, filepath.Join(dir, v.instance), v.instance)
	}
}

func (r *run) write(path string, raw []byte) {
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		r.log("%v", err)
	}
}

func (r *run) evidenceOf(ctx context.Context, dir, id string) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.log("%v", err)
		return
	}
	for name, path := range map[string]string{"instance.json": "", "attempts.json": "/attempts", "outcomes.json": "/outcomes", "explain.json": "/explain"} {
		var raw json.RawMessage
		if err := r.client.get(ctx, "/api/v1/instances/"+id+path, &raw); err != nil {
			r.write(filepath.Join(dir, name), []byte(err.Error()))
			continue
		}
		var pretty bytes.Buffer
		_ = json.Indent(&pretty, raw, "", "  ") // it was read as JSON
		r.write(filepath.Join(dir, name), pretty.Bytes())
	}
	var about bytes.Buffer
	words := []string{id}
	for _, file := range append([]string{r.ledger}, r.logFiles()...) {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fmt.Fprintf(&about, "== %s\n", filepath.Base(file))
		for line := range bytes.Lines(raw) {
			if slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(line, []byte(w)) }) {
				about.Write(line)
			}
		}
	}
	r.write(filepath.Join(dir, "lines"), about.Bytes())
}

func (r *run) logFiles() []string {
	var out []string
	for _, n := range r.nodes {
		out = append(out, n.logFile())
	}
	return out
}
