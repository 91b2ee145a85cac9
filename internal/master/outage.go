// What is said of a store that does not answer: that it began, now and then that it lasts, and that it
// is over. A line for every question would hide everything else.

package master

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// outageTold is how often an outage that lasts is told of.
const outageTold = 10 * time.Second

// outage remembers what was said. The zero value is a store that answers.
type outage struct {
	mu    sync.Mutex
	since time.Time // zero: it answers
	told  time.Time // when the last line was written, of this outage or of one before
	known bool      // that of this one was
	count int       // of questions without an answer
}

// failed tells of a question that the store did not answer.
func (o *outage) failed(ctx context.Context, log *slog.Logger, asked string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.count++; o.since.IsZero() {
		o.since = now
	}
	level := slog.LevelDebug
	if now.Sub(o.told) >= outageTold {
		level, o.told, o.known = slog.LevelWarn, now, true
	}
	log.LogAttrs(ctx, level, "the store did not answer; it is asked again", slog.String("asked", asked), slog.Any("error", err),
		slog.Int("unanswered", o.count))
}

// answered tells that an outage is over, if it was told that it began: a store that answers every second
// question fills no log.
func (o *outage) answered(ctx context.Context, log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	level := slog.LevelDebug
	if o.known {
		level = slog.LevelInfo
	}
	log.LogAttrs(ctx, level, "the store answers again", slog.Duration("after", time.Since(o.since).Round(time.Millisecond)), slog.Int("unanswered", o.count))
	o.since, o.known, o.count = time.Time{}, false, 0
}
