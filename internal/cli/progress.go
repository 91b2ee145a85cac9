// How a run goes, while it is waited for: a live list on a terminal, a line for each change
// elsewhere. It is decoration: whatever fails in it, the wait goes on.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
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
	old   map[string]string // by row: how it ended before the command; such rows are not drawn
	gone  string            // what is said of a server that is away
	lines int               // drawn on the screen
	ended bool              // the last picture
	tick  int
}

// progress begins to show a run from where the command moved it. Programs that read standard output are left alone: then it shows
// on a terminal's standard error only.
func (a *app) progress(ctx context.Context, c *client, b begun) *progress {
	p := &progress{app: a, run: b.run, told: map[string]string{}, old: map[string]string{}}
	for _, t := range b.before {
		p.told[t.ID] = standing(t)
		if endedTask(t.State) {
			p.old[t.ID] = standing(t)
		}
	}
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
	if !p.live || b.before != nil {
		say(p.out, "%s\n", b.word) // a drawn list has a head of its own, which tells a start
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

// away says that the server does not answer: in the picture, where there is one.
func (p *progress) away(text string) {
	if !p.live {
		p.app.noteAway(text)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = text
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
		p.run, p.ended = run, true
	}
	p.show()
}

func (p *progress) follow(ctx context.Context, c *client) {
	_ = c.patiently(ctx, func() error {
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
			if p.isItem(t.Name) {
				continue // there may be thousands; their map stands for them
			}
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

// untaken is why no master takes the run; the usual moment before one does is not worth saying.
func (p *progress) untaken() string {
	if reason := or(p.run.Reason, ""); string(p.run.State) == flow.InstanceSubmitted.String() && reason != flow.ReasonSubmitted {
		return reason
	}
	return ""
}

// isItem tells the items of maps and rounds of loops by their names: the row of the map was told before.
func (p *progress) isItem(name string) bool {
	owner, _, ok := flow.CutItem(name)
	return ok && slices.ContainsFunc(p.run.Tasks, func(t api.Task) bool { return t.Name == owner })
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
	if reason := p.untaken(); reason != "" && p.told[p.run.ID] != reason {
		p.told[p.run.ID] = reason
		say(p.out, "%s  %s\n", time.Now().Format(time.TimeOnly), reason)
	}
	for _, t := range p.run.Tasks {
		text := standing(t)
		if p.told[t.ID] == text || t.State == "dispatched" {
			continue
		}
		p.told[t.ID] = text
		line := fmt.Sprintf("%s  %-10s  %s", time.Now().Format(time.TimeOnly), t.State, t.Name)
		if detail := p.detail(t); detail != "" {
			line += "  " + detail
		}
		say(p.out, "%s\n", line)
	}
}

// standing is what a row says of itself; a row that says the same is no news.
func standing(t api.Task) string {
	return fmt.Sprintf("%s %d %s", t.State, t.Attempt, reasonWorthSaying(t))
}

// drawn are the rows worth drawing: all but those that had ended before the command.
func (p *progress) drawn() []api.Task {
	if len(p.old) == 0 {
		return p.run.Tasks
	}
	var rows []api.Task
	for _, t := range p.run.Tasks {
		if p.old[t.ID] != standing(t) {
			rows = append(rows, t)
		}
	}
	return rows
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
	if (t.State == "running" || t.State == "dispatched") && !flow.Hosted(t.Type) {
		return ""
	}
	return or(t.Reason, "")
}
