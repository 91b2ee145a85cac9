// Notifications that a database sends while triggers listen, or nobody does.

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// The database and the channel that triggers listen to.
const (
	noticeBase    = "notices"
	noticeChannel = "news"
)

// silence is longer than who listens waits for the next notification; late is more than the time for which somebody has
// heard what came and has not written yet until when: that is written every ten seconds.
const (
	silence = 6 * time.Second
	late    = 30 * time.Second
)

// announcement is some notifications that are to be sent in one transaction.
type announcement struct {
	payloads []string
	after    time.Duration // the one before it
}

// notice is a notification that was sent between two moments, or perhaps was.
type notice struct {
	payload     string
	asked, done time.Time
	sent        bool // the database has said so
}

// planNotices makes more than there will be time for.
func planNotices(o Options, rng *rand.Rand) []announcement {
	out := make([]announcement, 2000)
	for i := range out {
		out[i].after = time.Duration(0.3 * rng.Float64() * float64(o.Lease)).Round(time.Millisecond)
		if i%80 >= 60 && rng.IntN(2) == 0 { // after a busy time it is quiet now and then
			out[i].after += silence
		}
		many := 1
		if rng.IntN(5) == 0 {
			many += rng.IntN(5)
		}
		for j := range many {
			out[i].payloads = append(out[i].payloads, fmt.Sprintf("news-%d-%d-%d", o.Seed, i, j))
		}
	}
	return out
}

func (a announcement) String() string { return fmt.Sprintf("%v after %s", a.payloads, a.after) }

// notices sends what is planned, each once, until ctx is done. While the database is away nothing is sent.
func (r *run) notices(ctx context.Context) {
	for _, a := range r.plan.notices {
		if wait(ctx, a.after); ctx.Err() != nil {
			return
		}
		r.announce(context.WithoutCancel(ctx), a)
	}
}

// announce sends notifications.
func (r *run) announce(ctx context.Context, a announcement) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	config := r.store.Copy()
	config.Database = noticeBase
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	asked := time.Now()
	_, err = conn.Exec(ctx, "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload", noticeChannel, a.payloads)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, payload := range a.payloads {
		r.sent = append(r.sent, notice{payload, asked, time.Now(), err == nil})
	}
}

// gap is a time in which nobody listened.
type gap struct{ from, to time.Time }

var gapCause = regexp.MustCompile(`^perhaps nobody listened from (\S+) to (\S+): `)

// gap tells whether an event is a time in which nobody listened; it is told in whole seconds.
func (e event) gap() (g gap, is bool) {
	said := gapCause.FindStringSubmatch(e.Cause)
	if said == nil {
		return g, false
	}
	var errs [2]error
	g.from, errs[0] = time.Parse(time.RFC3339, said[1])
	g.to, errs[1] = time.Parse(time.RFC3339, said[2])
	g.to = g.to.Add(time.Second)
	return g, errs[0] == nil && errs[1] == nil
}

// holds tells whether a notification may have been sent in it; clocks are off by a second at most.
func (g gap) holds(n notice) bool {
	return !n.done.Before(g.from.Add(-time.Second)) && !n.asked.After(g.to.Add(time.Second))
}

// denies tells whether a notification that was heard was sent in it, long after it had begun.
func (g gap) denies(n notice) bool {
	return n.asked.After(g.from.Add(late)) && n.done.Before(g.to.Add(-2*time.Second))
}

// missedKey is what a run has for a payload that makes up for a time in which nobody listened.
const missedKey = "missed"

// brokenNotices: each notification has one run, or none where it is recorded that nobody listened. With once each such time
// has a run too, otherwise none.
func brokenNotices(sent []notice, t triggered, once bool) (out []violation) {
	of := map[string][]instance{}
	for _, in := range t.runs {
		of[in.Params["key"]] = append(of[in.Params["key"]], in)
	}
	var gaps []gap
	for _, e := range t.events {
		if g, is := e.gap(); is {
			gaps = append(gaps, g)
			if (e.Instance != "") != once {
				out = append(out, violation{invGaps, e.Instance, fmt.Sprintf("%s: %s, and its run is %q", t.workflow, e.Cause, e.Instance)})
			}
		}
	}
	making := of[missedKey]
	delete(of, missedKey)
	if once && len(making) != len(gaps) || !once && len(making) > 0 {
		out = append(out, violation{invGaps, "", fmt.Sprintf("%s: nobody listened %d times, %d runs make up for that", t.workflow, len(gaps), len(making))})
	}
	var heard []notice
	for _, n := range sent {
		runs := of[n.payload]
		delete(of, n.payload)
		switch {
		case len(runs) > 1:
			out = append(out, violation{invNotices, runs[0].ID, fmt.Sprintf("%s: notification %s has %d runs, %s and %s", t.workflow, n.payload, len(runs), runs[0].ID, runs[1].ID)})
		case len(runs) == 0 && n.sent && !slices.ContainsFunc(gaps, func(g gap) bool { return g.holds(n) }):
			out = append(out, violation{invNotices, "", fmt.Sprintf("%s: notification %s was sent between %s and %s and has no run, and no time in which nobody listened holds it", t.workflow, n.payload, clock(n.asked), clock(n.done))})
		case len(runs) == 1:
			heard = append(heard, n)
		}
	}
	for _, g := range gaps {
		if i := slices.IndexFunc(heard, g.denies); i >= 0 {
			out = append(out, violation{invGaps, "", fmt.Sprintf("%s: nobody is said to have listened from %s to %s, and notification %s has a run, which was sent at %s", t.workflow, clock(g.from), clock(g.to), heard[i].payload, clock(heard[i].asked))})
		}
	}
	for payload, runs := range of {
		out = append(out, violation{invNotices, runs[0].ID, fmt.Sprintf("%s: run %s is of notification %q, which nobody sent", t.workflow, runs[0].ID, payload)})
	}
	return append(out, t.unmatched(invNotices)...)
}
