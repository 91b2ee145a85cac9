// The live list of a run's tasks on a terminal: drawn again in place.

package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/api"
)

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
	rows := p.drawn()
	most := max(height-4, 3)
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
	if !p.ended { // then its last line says so
		line(sgrDim, fmt.Sprintf("%s  %s v%d  %s", p.run.ID, placeOf(p.run.Project, p.run.Workflow), p.run.Version, p.run.State))
	}
	if reason := p.untaken(); reason != "" && !p.ended {
		line("", "  "+reason)
	}
	if p.gone != "" && !p.ended {
		line("", "  "+p.gone)
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
