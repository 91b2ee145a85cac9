// How a run goes, while it is waited for: a live list on a terminal, a line for each change
// elsewhere. It is decoration: whatever fails in it, the wait goes on.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/api"
)

// progress follows one run.
type progress struct {
	app  *app
	out  io.Writer
	live bool // redraw in place
	wait func()
	done context.CancelFunc

	mu    sync.Mutex
	run   api.Instance
	told  map[string]string // by row: what was said last
	lines int               // drawn on the screen
	tick  int
}

// progress begins to show a run. Programs that read standard output are left alone: then it shows
// on a terminal's standard error only.
func (a *app) progress(ctx context.Context, c *client, run api.Instance) *progress {
	p := &progress{app: a, run: run, told: map[string]string{}}
	people := a.config.Output == formatTable || a.config.Output == formatWide
	switch {
	case people && isTerminal(a.Stdout):
		p.out, p.live = a.Stdout, true
	case people:
		p.out = a.Stdout
	case isTerminal(a.Stderr):
		p.out, p.live = a.Stderr, true
	default:
		p.wait, p.done = func() {}, func() {}
		return p
	}
	ctx, p.done = context.WithCancel(ctx)
	var group sync.WaitGroup
	p.wait = group.Wait
	group.Go(func() { p.follow(ctx, c) })
	if p.live {
		group.Go(func() { p.animate(ctx) })
	}
	return p
}

// stop shows the run a last time.
func (p *progress) stop(run api.Instance, known bool) {
	p.done()
	p.wait()
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known {
		p.run = run
	}
	p.show()
}

func (p *progress) follow(ctx context.Context, c *client) {
	_ = patiently(ctx, func() error {
		return c.events(ctx, request{path: path("instances", p.run.ID, "events")}, func(name string, data []byte) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if err := p.take(name, data); err != nil {
				return err
			}
			p.show()
			return nil
		})
	})
}

// take brings the picture up to date.
func (p *progress) take(name string, data []byte) error {
	switch name {
	case "instance":
		var run api.Instance
		if err := json.Unmarshal(data, &run); err != nil {
			return err
		}
		p.run = run
	case "change":
		var c api.Change
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		p.run.State = c.State
		for _, t := range c.Tasks {
			row := p.row(t.ID, t.Name)
			row.State, row.Attempt, row.Reason = t.State, t.Attempt, t.Reason
			if t.State == "running" && row.StartedAt == 0 {
				row.StartedAt = c.At
			}
			if endedTask(row.State) {
				row.EndedAt = c.At
			}
		}
	}
	return nil
}

func (p *progress) row(id, name string) *api.Task {
	i := slices.IndexFunc(p.run.Tasks, func(t api.Task) bool { return t.ID == id })
	if i < 0 {
		p.run.Tasks = append(p.run.Tasks, api.Task{ID: id, Name: name, Valid: true})
		i = len(p.run.Tasks) - 1
	}
	return &p.run.Tasks[i]
}

func endedTask(s api.TaskState) bool { return taskSigns[string(s)] != "" }

// taskSigns mark ended tasks; others are waiting or moving.
var taskSigns = map[string]string{"succeeded": "✓", "forced_success": "✓", "failed": "✗", "killed": "✗", "skipped": "–"}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (p *progress) show() {
	if p.live {
		p.draw()
		return
	}
	for _, t := range p.run.Tasks {
		text := fmt.Sprintf("%s %d %s", t.State, t.Attempt, reasonWorthSaying(t))
		if p.told[t.ID] == text || t.State == "dispatched" {
			continue
		}
		p.told[t.ID] = text
		line := fmt.Sprintf("%s  %-10s  %s", time.Now().Format(time.TimeOnly), t.State, t.Name)
		if detail := p.detail(t); detail != "" {
			line += "  " + detail
		}
		fmt.Fprintln(p.out, line)
	}
}

func (p *progress) detail(t api.Task) string {
	var parts []string
	if t.StartedAt != 0 && (p.live || t.EndedAt != 0) {
		parts = append(parts, took(t.StartedAt, t.EndedAt))
	}
	if t.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("try %d", t.Attempt))
	}
	if reason := reasonWorthSaying(t); reason != "" {
		parts = append(parts, reason)
	}
	return strings.Join(parts, "  ")
}

// reasonWorthSaying leaves out what the state says already: on which worker a task is.
func reasonWorthSaying(t api.Task) string {
	if t.State == "running" || t.State == "dispatched" {
		return ""
	}
	return or(t.Reason, "")
}

const frame = 120 * time.Millisecond

// animate keeps times and spinners moving between events.
func (p *progress) animate(ctx context.Context) {
	ticker := time.NewTicker(frame)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.mu.Lock()
			p.tick++
			p.draw()
			p.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// draw replaces what it drew before. A run with more tasks than the screen has lines is cut: what
// moves or failed stays, the rest is counted.
func (p *progress) draw() {
	width, height := terminalSize(p.out)
	rows := p.run.Tasks
	most := max(height-3, 3)
	hidden := map[string]int{}
	if len(rows) > most {
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(a, b api.Task) int { return interest(b) - interest(a) })
		for _, t := range rows[most:] {
			hidden[string(t.State)]++
		}
		rows = rows[:most]
	}
	var b strings.Builder
	if p.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.lines)
	}
	p.lines = 0
	line := func(sgr, text string) {
		b.WriteString("\r" + paint(true).wrap(sgr, shorten(text, max(width-1, 20))) + "\x1b[K\n")
		p.lines++
	}
	names := 0
	for _, t := range rows {
		names = max(names, min(displayWidth(t.Name), 32))
	}
	for _, t := range rows {
		name := shorten(t.Name, 32)
		name += strings.Repeat(" ", max(names-displayWidth(name), 0))
		line(p.colour(t), fmt.Sprintf("  %s %s  %-10s  %s", p.sign(t), name, t.State, p.detail(t)))
	}
	if len(hidden) > 0 {
		var parts []string
		for _, state := range slices.Sorted(maps.Keys(hidden)) {
			parts = append(parts, fmt.Sprintf("%d %s", hidden[state], state))
		}
		line(sgrDim, "  … and "+strings.Join(parts, ", "))
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(p.out, b.String()) // decoration
}

func (p *progress) sign(t api.Task) string {
	if sign := taskSigns[string(t.State)]; sign != "" {
		return sign
	}
	if t.State == "running" || t.State == "dispatched" {
		return spinner[p.tick%len(spinner)]
	}
	return "·"
}

// colour of a line; what is over is quiet unless it failed.
func (p *progress) colour(t api.Task) string {
	if !bool(p.app.paint()) {
		return ""
	}
	return stateColours[string(t.State)]
}

// interest orders what is shown when not everything fits.
func interest(t api.Task) int {
	switch t.State {
	case "running", "dispatched", "unknown":
		return 3
	case "failed", "killed":
		return 2
	case "queued", "waiting", "paused":
		return 1
	default:
		return 0
	}
}

// terminalSize is 80 by 24 where nobody knows better.
func terminalSize(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
			return int(size.Col), int(size.Row)
		}
	}
	return 80, 24
}

// writeEnd is the last line of a run that was waited for.
func (a *app) writeEnd(w io.Writer, i api.Instance) error {
	p := a.paint()
	line := fmt.Sprintf("%s  %s v%d  %s", p.bold(i.ID), placeOf(i.Project, i.Workflow), i.Version, p.state(string(i.State)))
	if i.Reason != nil {
		line += " (" + *i.Reason + ")"
	}
	if i.StartedAt != 0 {
		line += "  in " + took(i.StartedAt, i.EndedAt)
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	for _, t := range i.Tasks {
		if t.Valid && (t.State == "failed" || t.State == "killed") {
			if _, err := fmt.Fprintln(w, p.dim(fmt.Sprintf("why: baton logs %s %s", i.ID, quote(t.Name)))); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// quote makes a name safe to paste into a shell.
func quote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`$&|;<>()*?[]#~!\\", r) }) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
