// A server that is away: whoever follows something waits for it, and says so.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"baton/internal/flow"
)

// patience is how a command puts up with a server that is away.
type patience struct {
	gap   time.Duration // between two tries
	quiet time.Duration // before it is said
	most  time.Duration // before it is given up: a restart and a change of master fit in
	note  func(string)  // says what is waited for; "": it is over
}

func (a *app) patience() patience {
	return patience{gap: 500 * time.Millisecond, quiet: 2 * time.Second, most: 2 * time.Minute, note: a.noteAway}
}

// noteAway tells a person. A program reads one error from standard error, and nothing else.
func (a *app) noteAway(text string) {
	if text != "" && a.config.Output != formatJSON {
		say(a.Stderr, "%s\n", a.paint().dim(text))
	}
}

// silently has the client wait as long, without a word.
func (c *client) silently() *client {
	other := *c
	other.patience.note = func(string) {}
	return &other
}

// patiently repeats what a restarting server cuts off, until it works, the server has been away for too long, or the
// answer is an answer.
func (c *client) patiently(ctx context.Context, try func() error) error {
	var since time.Time // the server is away; zero: it is not
	told := false
	for {
		began := time.Now()
		err := try()
		cut := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
		if err == nil || !cut && codeOf(err) != flow.CodeUnavailable {
			c.back(told)
			return err
		}
		if cut && time.Since(began) > c.patience.quiet {
			since = time.Time{} // a stream that went on for a while
			c.back(told)
			told = false
		}
		if since.IsZero() {
			since = time.Now()
		}
		switch away := time.Since(since); {
		case away >= c.patience.most:
			return err
		case away >= c.patience.quiet && !told:
			told = true
			c.patience.note(fmt.Sprintf("the server does not answer at %s; trying again for %s", c.to.url, flow.Duration(c.patience.most)))
		}
		select {
		case <-time.After(c.patience.gap):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *client) back(told bool) {
	if told {
		c.patience.note("")
	}
}
