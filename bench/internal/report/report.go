// Package report makes a table, a Markdown page and JSON of what was measured.
//
// It measures nothing.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"baton/bench/internal/book"
)

// About is how a run was made.
type About struct {
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took_ns"`
	Short      bool          `json:"short"`
	Pairs      int           `json:"pairs"`
	Profiled   bool          `json:"profiled"`
	Clients    int           `json:"clients"`
	Runs       int           `json:"history_runs"`
	PostgreSQL string        `json:"postgresql"`
	// Elsewhere is how many CPUs were busy on average with what was neither ours nor measured; it
	// includes what ran too briefly to be seen.
	Elsewhere float64 `json:"cpus_busy_elsewhere"`
}

// Line is a target as it was met.
type Line struct {
	Target  string   `json:"target"`
	What    string   `json:"what"`
	Unit    string   `json:"unit"`
	Ours    float64  `json:"ours"`
	Least   float64  `json:"least"`
	Most    float64  `json:"most"`
	Peer    *float64 `json:"peer"`
	Who     string   `json:"peer_name"`
	Limit   *float64 `json:"limit"`
	ToPeer  *float64 `json:"ratio_to_peer"`
	ToLimit *float64 `json:"ratio_to_limit"`
	Gate    string   `json:"gate"`
	Moon    string   `json:"moonshot"`
	Verdict string   `json:"verdict"`
	Short   []string `json:"falls_short"` // of which demands of the moonshot
}

// Report is ready to be written.
type Report struct {
	About    About      `json:"about"`
	Machine  string     `json:"machine"`
	Lines    []Line     `json:"targets"`
	Unmet    []string   `json:"not_measured"`
	Measured *book.Book `json:"measured"`
}

// Verdicts.
const (
	moonshot = "moonshot"
	gate     = "gate"
	missed   = "MISSED"
	between  = "no gate set" // and the moonshot is missed
)

// New judges what was measured.
func New(about About, b *book.Book) *Report {
	r := &Report{About: about, Machine: machine(), Measured: b}
	for _, t := range targets {
		if !b.Has(t.ours) {
			r.Unmet = append(r.Unmet, t.number+" "+t.what)
			continue
		}
		r.Lines = append(r.Lines, judge(t, b))
	}
	return r
}

func judge(t target, b *book.Book) Line {
	l := Line{Target: t.number, What: t.what, Unit: t.unit, Ours: b.Median(t.ours), Who: t.who}
	l.Least, l.Most = b.Range(t.ours)
	l.Peer, l.ToPeer = beside(b, t.ours, t.peer)
	l.Limit, l.ToLimit = beside(b, t.ours, t.limit)
	l.Gate, l.Moon = t.words(t.gate), t.words(t.moon)
	l.Short = t.failing(t.moon, b)
	switch {
	case len(t.failing(t.gate, b)) > 0:
		l.Verdict = missed
	case len(l.Short) == 0:
		l.Verdict = moonshot
	case len(t.gate) == 0:
		l.Verdict = between
	default:
		l.Verdict = gate
	}
	return l
}

func beside(b *book.Book, ours, other string) (value, ratio *float64) {
	if other == "" || !b.Has(other) {
		return nil, nil
	}
	v, r := b.Median(other), b.Ratio(ours, other)
	if math.IsNaN(r) {
		return &v, nil
	}
	return &v, &r
}

// failing lists the demands of a goal that do not hold.
func (t target) failing(g goal, b *book.Book) []string {
	var out []string
	compared := false
	for _, c := range g {
		if c.than == "" || !b.Has(c.than) {
			continue
		}
		ratio := b.Ratio(t.ours, c.than)
		if math.IsNaN(ratio) {
			continue
		}
		compared = compared || !own(c.than)
		if !t.holds(ratio, c.times) {
			out = append(out, fmt.Sprintf("%s × %s, wanted %s", short(ratio), c.than, short(c.times)))
		}
	}
	if compared {
		return out
	}
	for _, c := range g {
		if ours := b.Median(t.ours); c.than == "" && !t.holds(ours, c.amount) {
			out = append(out, fmt.Sprintf("%s, wanted %s", amount(ours, t.unit), amount(c.amount, t.unit)))
		}
	}
	return out
}

// own tells whether a series is the product's: to be no worse than itself is a demand, but it does
// not stand for the amount.
func own(series string) bool {
	return strings.HasPrefix(series, "baton.") || strings.HasPrefix(series, "history.")
}

func (t target) holds(have, want float64) bool {
	if t.less {
		return have <= want
	}
	return have >= want
}

func (t target) words(g goal) string {
	var parts []string
	for _, c := range g {
		if c.than != "" {
			parts = append(parts, short(c.times)+"× "+c.than)
		}
	}
	for _, c := range g {
		if c.than == "" {
			text := amount(c.amount, t.unit)
			if len(parts) > 0 {
				text = "(" + text + ")"
			}
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

// Missed counts gates that are missed.
func (r *Report) Missed() int {
	n := 0
	for _, l := range r.Lines {
		if l.Verdict == missed {
			n++
		}
	}
	return n
}

func short(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2g", v)
	}
}

// amount writes a number for people.
func amount(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case unit == "µs" && v >= 10_000_000:
		return fmt.Sprintf("%.1f s", v/1e6)
	case unit == "µs" && v >= 10_000:
		return fmt.Sprintf("%.0f ms", v/1e3)
	case unit == "µs" && v >= 1000:
		return fmt.Sprintf("%.2f ms", v/1e3)
	case v >= 10_000:
		return fmt.Sprintf("%.1fk%s", v/1e3, spaced(unit))
	case v >= 100:
		return fmt.Sprintf("%.0f%s", v, spaced(unit))
	default:
		return fmt.Sprintf("%.3g%s", v, spaced(unit))
	}
}

func spaced(unit string) string {
	if unit == "/s" || unit == "%" {
		return unit
	}
	return " " + unit
}

func optional(v *float64, f func(float64) string) string {
	if v == nil {
		return "-"
	}
	return f(*v)
}

func (r *Report) rows() [][]string {
	rows := [][]string{{"", "target", "ours", "peer", "limit", "ours/peer", "ours/limit", "gate", "moonshot", "verdict"}}
	for _, l := range r.Lines {
		peer := optional(l.Peer, func(v float64) string { return amount(v, l.Unit) + " " + l.Who })
		if l.Peer == nil && l.Who != "" {
			peer = "not measured"
		}
		verdict := l.Verdict
		rows = append(rows, []string{
			l.Target, l.What, amount(l.Ours, l.Unit), peer, optional(l.Limit, func(v float64) string { return amount(v, l.Unit) }),
			optional(l.ToPeer, short), optional(l.ToLimit, short), l.Gate, l.Moon, verdict,
		})
	}
	return rows
}

// Text is the report for a terminal.
func (r *Report) Text() string {
	var b strings.Builder
	b.WriteString(r.head() + "\n")
	rows := r.rows()
	for i := range rows { // the goals in full are in the Markdown report
		rows[i] = []string{rows[i][0], rows[i][1], rows[i][2], rows[i][3], rows[i][4], rows[i][5], rows[i][6], plain(rows[i][7]), plain(rows[i][8]), rows[i][9]}
	}
	columns(&b, rows)
	if short := r.shortfalls(); len(short) > 0 {
		b.WriteString("\nWhat stands between gate and moonshot:\n")
		for _, s := range short {
			b.WriteString("  " + s + "\n")
		}
	}
	b.WriteString("\n")
	columns(&b, r.detailRows())
	for _, s := range r.remarks() {
		b.WriteString("\n" + s)
	}
	b.WriteString("\n")
	return b.String()
}

// plain is a goal in short: its amount, else its first demand.
func plain(g string) string {
	if i := strings.LastIndexByte(g, '('); i >= 0 {
		return strings.Trim(g[i:], "()")
	}
	return g
}

func columns(b *strings.Builder, rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func (r *Report) head() string {
	a := r.About
	text := fmt.Sprintf("Baton beside its peers and the machine's limits, %s, %d pairs in %s.\n%s, Go %s, PostgreSQL %s.\nDurability on, settings of Baton default; medians, ratios within a round; CPU counts server, worker and database.\n",
		a.At.Format(time.RFC3339), a.Pairs, a.Took.Round(time.Second), r.Machine, runtime.Version(), orNone(a.PostgreSQL))
	if a.Elsewhere > 0.15*float64(runtime.NumCPU()) {
		text += fmt.Sprintf("CAUTION: %.1f of %d CPUs were busy with something else: read the ratios, not the amounts.\n", a.Elsewhere, runtime.NumCPU())
	}
	if a.Short {
		text += "CAUTION: a short run; it shows that things work, not how fast.\n"
	}
	if a.Profiled {
		text += "CAUTION: the first round was profiled, which costs a little.\n"
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (r *Report) shortfalls() []string {
	var out []string
	for _, l := range r.Lines {
		for _, s := range l.Short {
			out = append(out, fmt.Sprintf("%s %s: %s", l.Target, l.What, s))
		}
	}
	return out
}

func (r *Report) detailRows() [][]string {
	var rows [][]string
	for _, d := range details {
		if r.Measured.Has(d.series) {
			least, most := r.Measured.Range(d.series)
			rows = append(rows, []string{d.what, amount(r.Measured.Median(d.series), d.unit), amount(least, d.unit) + " – " + amount(most, d.unit)})
		}
	}
	return rows
}

func (r *Report) remarks() []string {
	var out []string
	for who, why := range r.Measured.Missing {
		out = append(out, "Not measured: "+who+": "+why)
	}
	slices.Sort(out)
	if len(r.Unmet) > 0 {
		out = append(out, "Targets not measured in this run: "+strings.Join(r.Unmet, "; "))
	}
	for _, n := range r.Measured.Notes {
		out = append(out, "Note: "+n)
	}
	for _, n := range r.Measured.Faults {
		out = append(out, "FAULT: "+n)
	}
	return out
}

// Markdown is the report as a page.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("# Bench\n\n" + strings.ReplaceAll(r.head(), "\n", "  \n") + "\n")
	table := func(rows [][]string) {
		for i, row := range rows {
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
		b.WriteString("\n")
	}
	table(r.rows())
	b.WriteString("## What stands between gate and moonshot\n\n")
	for _, s := range r.shortfalls() {
		b.WriteString("- " + s + "\n")
	}
	b.WriteString("\n## Details\n\n")
	table(append([][]string{{"what", "median", "least – most"}}, r.detailRows()...))
	b.WriteString("## Remarks\n\n")
	for _, s := range r.remarks() {
		b.WriteString("- " + strings.ReplaceAll(s, "\n", " ") + "\n")
	}
	return b.String()
}

// Write writes the JSON, named by time, and the page of the last run.
func (r *Report) Write(dir string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, r.About.At.Format("20060102T150405Z")+".json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "report.md"), []byte(r.Markdown()), 0o644))
}

// machine names the hardware.
func machine() string {
	model := "CPU unknown"
	raw, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)))
}
