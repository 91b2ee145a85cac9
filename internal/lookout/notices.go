// Notifications of databases.

package lookout

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/secret"
	"baton/internal/trigger"
)

const (
	// checkEvery is how often a silent connection is tried.
	checkEvery = 5 * time.Second
	// dialPatience is how long a data source may take to let one in, or to answer.
	dialPatience = 10 * time.Second
	// dialAgain is how long is waited after it did not.
	dialAgain = 5 * time.Second
	// firstEar is how long nobody may listen yet after a trigger began, before that is told.
	firstEar = 10 * time.Second
	// maxQueue bounds the notifications that one trigger has not written yet: while the store is away they are kept here.
	maxQueue = 10_000
)

// ear is a connection to one data source, for all triggers that listen there.
type ear struct {
	l       *Lookout
	source  *flow.DataSource
	name    string
	stop    context.CancelFunc
	over    chan struct{}
	changed chan struct{} // other triggers listen

	mu      sync.Mutex
	hearers []*hearer
}

// hearer is a trigger that listens. What it has heard stays when it goes to another ear.
type hearer struct {
	l    *Lookout
	stop context.CancelFunc
	wake chan struct{}

	writing sync.Mutex

	mu      sync.Mutex
	outside flow.Outside
	until   flow.Time // when it was heard last, as far as anybody knows; 0: nobody ever listened
	why     string    // nobody listens since
	gap     *trigger.Gap
	queue   []flow.Notice
	dropped int // of which no more was kept
	// then is until when it is heard once what was taken by then is written: after so many in all.
	then           flow.Time
	after          int
	taken, written int
}

func (l *Lookout) newEar(ctx context.Context, o flow.Outside, hearers []*hearer) *ear {
	e := &ear{l: l, source: o.DataSource, name: o.Body.Notify.DataSource, over: make(chan struct{}), changed: make(chan struct{}, 1), hearers: hearers}
	ctx, e.stop = context.WithCancel(ctx)
	l.going.Go(func() {
		defer close(e.over)
		e.run(ctx)
	})
	return e
}

// end stops an ear, and waits until nobody hears by it.
func (e *ear) end() {
	e.stop()
	<-e.over
}

// handOver ends an ear whose data source was changed.
func (e *ear) handOver() {
	e.end()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.hearers {
		h.moved()
	}
}

// are has exactly these triggers listen.
func (e *ear) are(hearers []*hearer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hearers = hearers
	poke(e.changed)
}

// channels are those that triggers listen to.
func (e *ear) channels() map[string][]*hearer {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string][]*hearer{}
	for _, h := range e.hearers {
		out[h.channel()] = append(out[h.channel()], h)
	}
	return out
}

// run listens until ctx ends.
func (e *ear) run(ctx context.Context) {
	said := ""
	for {
		heard, err := e.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			said = ""
		}
		if said != err.Error() {
			said = err.Error()
			e.l.Log.LogAttrs(ctx, slog.LevelWarn, "nobody listens to a data source", slog.String("datasource", e.name), slog.Any("error", err))
		}
		for _, hearers := range e.channels() {
			for _, h := range hearers {
				h.deaf(err.Error())
			}
		}
		select { // a trigger that is new need not wait
		case <-ctx.Done():
			return
		case <-e.changed:
		case <-time.After(dialAgain):
		}
	}
}

// connect connects to the data source.
func (e *ear) connect(ctx context.Context) (Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	switch {
	case e.source == nil:
		return nil, fmt.Errorf("its project has no data source %q; apply one", e.name)
	case e.source.Type != flow.DataSourcePostgres:
		return nil, fmt.Errorf("data source %s is of type %s; notifications come from one of type %s", e.name, e.source.Type, flow.DataSourcePostgres)
	}
	password := ""
	if e.source.Password != nil {
		var err error
		if password, err = secret.Value(ctx, e.source.Password, "the master"); err != nil {
			return nil, err
		}
	}
	conn, err := e.l.Dial(ctx, *e.source, password)
	if err != nil {
		return nil, fmt.Errorf("data source %s: %w", e.name, err)
	}
	return conn, nil
}

// listen listens on one connection until it breaks, and tells whether it ever did.
func (e *ear) listen(ctx context.Context) (heard bool, err error) {
	conn, err := e.connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	session, count := rand.Text(), 0
	hears := map[string]bool{} // channels
	var until flow.Time        // when all was heard that had been sent
	for {
		wanted := e.channels()
		if err := e.tune(ctx, conn, hears, wanted); err != nil {
			return heard, err
		}
		heard = true
		now := e.l.now()
		for _, channel := range slices.Sorted(maps.Keys(hears)) {
			for _, h := range wanted[channel] {
				h.hears(session, until, now)
			}
		}
		take := func(n flow.Notice) {
			count++
			n.Key, n.At = session+":"+strconv.Itoa(count), e.l.now()
			n.Payload = flow.Text(n.Payload, len(n.Payload))
			for _, h := range wanted[n.Channel] {
				h.take(n)
			}
		}
		for retune, checked := false, false; !retune && !checked; {
			n, again, err := e.next(ctx, conn)
			retune = again
			if err != nil {
				if retune {
					poke(e.changed)
				}
				return heard, err
			}
			if n != nil {
				take(*n)
			}
			if n == nil || e.l.now().Sub(now) >= checkEvery {
				if until, err = e.check(ctx, conn, take); err != nil {
					return heard, err
				}
				checked = true
			}
		}
	}
}

// check tells until when all was heard that had been sent: until it asked the database, which tells what came before first.
func (e *ear) check(ctx context.Context, conn Listener, take func(flow.Notice)) (until flow.Time, err error) {
	until = e.l.now()
	asking, end := context.WithTimeout(ctx, dialPatience)
	defer end()
	if err := conn.Check(asking); err != nil {
		return 0, err
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for {
		n, err := conn.Next(over)
		if err != nil {
			return until, ctx.Err() // there is no more
		}
		take(n)
	}
}

// tune has the connection hear what is wanted. A channel that the database does not take is the fault of those that want
// it, and is tried again.
func (e *ear) tune(ctx context.Context, conn Listener, hears map[string]bool, wanted map[string][]*hearer) error {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	for _, channel := range slices.Sorted(maps.Keys(wanted)) {
		if hears[channel] {
			continue
		}
		if err := conn.Listen(ctx, channel); err != nil {
			if broken := conn.Check(ctx); broken != nil {
				return err
			}
			for _, h := range wanted[channel] {
				h.deaf(fmt.Sprintf("data source %s: listen to channel %s: %v", e.name, channel, err))
			}
			continue
		}
		hears[channel] = true
	}
	for _, channel := range slices.Sorted(maps.Keys(hears)) {
		if wanted[channel] != nil {
			continue
		}
		if err := conn.Unlisten(ctx, channel); err != nil {
			return fmt.Errorf("end to listen to channel %s: %w", channel, err)
		}
		delete(hears, channel)
	}
	return nil
}

// next is the next notification, nil when there was none for a while. retune: others listen now.
func (e *ear) next(ctx context.Context, conn Listener) (n *flow.Notice, retune bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, checkEvery)
	defer cancel()
	done, changed := make(chan struct{}), make(chan bool, 1)
	go func() {
		select {
		case <-e.changed:
			cancel()
			changed <- true
		case <-done:
			changed <- false
		}
	}()
	got, err := conn.Next(waiting)
	close(done)
	retune = <-changed
	switch {
	case err == nil:
		return &got, retune, nil
	case ctx.Err() != nil || waiting.Err() == nil:
		return nil, retune, err
	}
	return nil, retune, nil
}

// hearer is that of a trigger, as it is now; another one when it began anew.
func (l *Lookout) hearer(o flow.Outside) *hearer {
	h := l.hearers[o.ID]
	if h != nil && h.takes(o) {
		return h
	}
	if h != nil {
		h.stop()
	}
	h = &hearer{l: l, wake: make(chan struct{}, 1), outside: o, until: o.LookedAt, why: "the master that listened has ended"}
	ctx, stop := context.WithCancel(context.Background()) // it ends after who hears for it
	h.stop = stop
	l.hearers[o.ID] = h
	l.going.Go(func() { h.run(ctx) })
	return h
}

func (h *hearer) channel() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.outside.Body.Notify.Channel
}

// takes tells whether a trigger goes on to listen as it is now: not when it began anew.
func (h *hearer) takes(o flow.Outside) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outside.Since != o.Since {
		return false
	}
	h.outside = o
	return true
}

// hears notes that somebody listens from now on, or still does, and has heard all that was sent until a time. What is not
// written yet would be lost with this master.
func (h *hearer) hears(session string, until, now flow.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why == "" {
		if h.then == 0 {
			h.then, h.after = until, h.taken
		}
		h.tell()
		return
	}
	from := max(h.until, h.then) // what is not written yet is not lost
	if from == 0 && now.Sub(h.outside.Since) > firstEar {
		from, h.why = h.outside.Since, "nobody could listen yet"
	}
	if h.gap != nil {
		from = h.gap.From
	}
	if from != 0 {
		h.gap = &trigger.Gap{Key: session + ":from:" + strconv.FormatInt(int64(from), 10), From: min(from, now), To: now, Why: h.why}
		poke(h.wake)
	}
	h.until, h.why, h.then, h.after = now, "", now, h.taken
	h.tell()
}

// tell notes that somebody listens, and until when, as far as all of that is written: what is not would be lost with this
// master.
func (h *hearer) tell() {
	if h.then == 0 || h.gap != nil || h.dropped > 0 || h.written < h.after {
		h.l.looked(h.outside, 0)
		return
	}
	h.until, h.then = max(h.until, h.then), 0
	h.l.looked(h.outside, h.until)
}

// deaf notes that nobody listens.
func (h *hearer) deaf(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = why
	h.l.cannot(h.outside, why)
}

// moved notes that it is another connection which hears from now on.
func (h *hearer) moved() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why == "" {
		h.why = "the data source was changed"
	}
}

// take keeps a notification until it is written.
func (h *hearer) take(n flow.Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) >= maxQueue {
		h.dropped++
		return
	}
	h.queue = append(h.queue, n)
	h.taken++
	poke(h.wake)
}

// run writes what was heard until ctx ends.
func (h *hearer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		for h.write(ctx) {
		}
	}
}

// endWell writes what was heard, as far as ctx lasts. Nobody hears for it any more.
func (h *hearer) endWell(ctx context.Context) {
	for h.write(ctx) {
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why == "" {
		h.tell()
	}
}

// write writes a part of what was heard, and tells whether there is more.
func (h *hearer) write(ctx context.Context) bool {
	more, failed := h.writePart(ctx)
	return more || failed && pause(ctx, again)
}

// writePart is for one at a time.
func (h *hearer) writePart(ctx context.Context) (more, failed bool) {
	h.writing.Lock()
	defer h.writing.Unlock()
	h.mu.Lock()
	o, gap, queue := h.outside, h.gap, h.queue
	h.mu.Unlock()
	if gap == nil && len(queue) == 0 || ctx.Err() != nil {
		return false, false
	}
	d, taken := trigger.Hear(o, gap, queue, h.l.now())
	written, err := h.l.start(ctx, d)
	switch {
	case err != nil && h.l.refused(ctx, "write what was heard", err), err != nil && ctx.Err() != nil:
		return false, false
	case err != nil:
		h.l.cannot(o, "what was heard cannot be written: "+err.Error())
		return false, true
	case !written: // kept: each has a key, so that none is written twice; the trigger as it is now comes soon
		return false, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gap == gap {
		h.gap = nil
	}
	h.queue = slices.Delete(h.queue, 0, taken)
	h.written += taken
	if h.dropped > 0 && len(h.queue) == 0 && h.gap == nil {
		h.gap = &trigger.Gap{
			Key: rand.Text(), From: h.until, To: h.l.now(), Why: fmt.Sprintf("%d notifications more than the %d that are kept while the store is away", h.dropped, maxQueue),
		}
		h.dropped = 0
	}
	if h.why == "" {
		h.tell()
	}
	return h.gap != nil || len(h.queue) > 0, false
}
