// Tables for people: aligned by the width a terminal gives each character, coloured by state.

package cli

import (
	"bytes"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"baton/internal/api"
)

// column is one column of a view; wide ones are shown with -o wide only, state ones are
// coloured.
type column[T any] struct {
	head  string
	cell  func(T) string
	wide  bool
	state bool
	free  bool // free text: cut on a terminal, except with -o wide
}

// view is how one kind of object is shown.
type view[T any] struct {
	name    func(T) string // what -o name prints
	columns []column[T]
}

// cell is a text with the colour it is shown in.
type cell struct {
	text, sgr string
}

// list prints a page of objects.
func list[T any](a *app, page answer[api.List[T]], v view[T]) error {
	return a.print(page.Raw, v.names(page.Value.Items), func(w io.Writer) error {
		if err := v.write(w, page.Value.Items, a.look()); err != nil {
			return err
		}
		if page.Value.Next != nil {
			_, err := io.WriteString(w, a.paint().dim("more: --cursor "+*page.Value.Next)+"\n")
			return err
		}
		return nil
	})
}

func (v view[T]) names(items []T) []string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = v.name(item)
	}
	return names
}

// look is how tables are shown.
type look struct {
	wide, cut bool // all columns; free text is cut
	paint     paint
}

// look of this command: what is read by a person on a screen is cut to fit, unless all is wanted.
func (a *app) look() look {
	wide := a.config.Output == formatWide
	return look{wide, !wide && isTerminal(a.Stdout), a.paint()}
}

func (v view[T]) write(w io.Writer, items []T, l look) error {
	rows := [][]cell{v.heads(l)}
	for _, item := range items {
		rows = append(rows, v.row(item, l))
	}
	return writeTable(w, rows, l.paint)
}

func (v view[T]) heads(l look) []cell {
	var out []cell
	for _, c := range v.columns {
		if l.wide || !c.wide {
			out = append(out, cell{c.head, sgrDim})
		}
	}
	return out
}

func (v view[T]) row(item T, l look) []cell {
	var out []cell
	for _, c := range v.columns {
		if !l.wide && c.wide {
			continue
		}
		one := cell{text: c.cell(item)}
		if c.state {
			one.sgr = stateColours[one.text]
		}
		if c.free && l.cut {
			one.text = shorten(one.text, widest)
		}
		out = append(out, one)
	}
	return out
}

const gutter = 2 // spaces between columns

// writeTable aligns rows; the first is the head.
func writeTable(w io.Writer, rows [][]cell, p paint) error {
	_, err := alignTable(w, rows, nil, p)
	return err
}

// alignTable aligns rows below others that took these widths, and returns the widths they take now.
func alignTable(w io.Writer, rows [][]cell, widths []int, p paint) ([]int, error) {
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], displayWidth(c.text))
		}
	}
	var out bytes.Buffer
	for _, row := range rows {
		space := 0 // owed before the next text, so that no line ends in spaces
		for i, c := range row {
			if c.text != "" {
				out.WriteString(strings.Repeat(" ", space))
				out.WriteString(p.wrap(c.sgr, c.text))
				space = 0
			}
			space += widths[i] - displayWidth(c.text) + gutter
		}
		out.WriteByte('\n')
	}
	_, err := w.Write(out.Bytes())
	return widths, err
}

// displayWidth counts terminal cells: Chinese characters take two, combining marks none.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r) || unicode.IsControl(r):
		case isWide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

func isWide(r rune) bool {
	k := width.LookupRune(r).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}

// shorten cuts s to n cells.
func shorten(s string, n int) string {
	if displayWidth(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		w := displayWidth(string(r))
		if used+w > n-1 {
			return s[:i] + "…"
		}
		used += w
	}
	return s
}
