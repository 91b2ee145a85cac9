// Counting rows on their way from the database to the result.

package sql

import (
	"errors"
	"fmt"
	"strings"
)

// tally counts the rows of a statement on their way to the result, or to nowhere.
type tally struct {
	next    rowSink
	alive   func()
	stop    func()
	err     error // of next
	rows    int64
	results int
}

var errRefused = errors.New("the result was refused")

func (t *tally) begin(columns []string) error {
	t.rows = 0
	t.results++
	return t.pass(func() error { return t.next.begin(columns) })
}

func (t *tally) row(values []value) error {
	t.rows++
	if t.rows%1000 == 0 {
		t.alive()
	}
	return t.pass(func() error { return t.next.row(values) })
}

func (t *tally) pass(f func() error) error {
	if t.next == nil {
		return nil
	}
	if err := f(); err != nil {
		t.err = err
		t.stop()
		return errRefused
	}
	return nil
}

func (t *tally) summary(changed int64) string {
	if t.results > 0 {
		return plural(t.rows, "row")
	}
	return plural(changed, "row") + " changed"
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortened keeps long statements from filling the log.
func shortened(text string) string {
	const most = 2 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + fmt.Sprintf(" … (%d bytes)", len(text))
}
