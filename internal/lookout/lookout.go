// Package lookout looks at what happens outside of Baton, for triggers that wait for it: files and objects that arrive, and
// notifications of databases. It runs beside a master; one of a cluster looks out at a time, and another when that one is
// fenced.
//
// It decides nothing, which trigger does, and must not know which store there is, or how a file system or a database is
// asked: those lie below it.
package lookout

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"baton/internal/clock"
	"baton/internal/flow"
)

// Store is what is durable of it. Implementations are safe for concurrent use. An error means that the outcome is unknown;
// flow.ErrFenced is one that another looks out.
type Store interface {
	// LookOut makes owner the one who looks out if no other that lives is, and tells what there is to look out for, unless it
	// is as it was seen.
	LookOut(ctx context.Context, owner int64, seen string) (flow.Outlook, error)
	// KnownFiles reads files that are no event any more for a trigger, some at a time, from where the part before ended.
	KnownFiles(ctx context.Context, trigger flow.ID, from string) (flow.KnownFiles, error)
	// StartOutside writes a decision about events, with its records and commands, whose ids it gives. False: the trigger is
	// not as it was, or what is fresh is known, and nothing was written.
	StartOutside(ctx context.Context, owner int64, d flow.OutsideDecision, now flow.Time) (bool, error)
	// Looked writes how it stands with looks, and alerts of it.
	Looked(ctx context.Context, owner int64, looks []flow.Looked, now flow.Time) error
}

// Listener is a connection to a database. It is used by one goroutine.
type Listener interface {
	// Listen and Unlisten begin and end to hear a channel.
	Listen(ctx context.Context, channel string) error
	Unlisten(ctx context.Context, channel string) error
	// Next is the next notification; the end of ctx ends the wait for it, and harms nothing.
	Next(ctx context.Context) (flow.Notice, error)
	// Check tells whether the database still answers: what was sent before it is heard then.
	Check(ctx context.Context) error
	Close()
}

// Dial connects to a data source of a type that notifies. Its errors say what to do.
type Dial func(ctx context.Context, source flow.DataSource, password string) (Listener, error)

// Find returns the regular files, or the objects, that match a pattern, and in words what keeps it from finding all of them.
// It may take as long as the file system takes, which nothing ends.
type Find func(pattern string) (found []flow.FoundFile, trouble string, err error)

// MostFiles is how many a pattern may match.
const MostFiles = 100_000

// Config is what a lookout works with.
type Config struct {
	Owner   int64 // the incarnation of its master
	Store   Store
	Dial    Dial
	Find    Find
	Ordered func()          // tells the masters that there are new commands; never blocks
	Hints   <-chan struct{} // something may have changed of what there is to look out for
	Log     *slog.Logger
}

const (
	// writeEvery is how often is written until when somebody looked: so much longer than it was a time seems in which
	// nobody listened, when this master dies.
	writeEvery = 10 * time.Second
	// storePatience is how long the store may take for an answer.
	storePatience = 10 * time.Second
	// alertAfter is how long nobody can see what a trigger waits for before a person is told.
	alertAfter = time.Minute
	// again is how long is waited after something failed.
	again = time.Second
	// storeAtOnce bounds what is asked of the store for all triggers together: others need it, too.
	storeAtOnce = 2
	// lastWords is how long what was heard is written after the end was asked for.
	lastWords = 500 * time.Millisecond
)

// Lookout looks out while it runs.
type Lookout struct {
	Config
	clock clock.Clock
	ahead atomic.Int64  // flow.Time: how far the clock of the store is before this one
	lost  chan struct{} // another looks out
	write chan struct{} // something is to be written soon
	turns chan struct{} // of those that ask the store

	// Of the goroutine of Run.
	version string
	files   map[flow.ID]*running
	hearers map[flow.ID]*hearer
	ears    map[string]*ear // by data source
	going   sync.WaitGroup

	mu    sync.Mutex
	looks map[flow.ID]*look
	finds map[string]*finding // that are under way, by pattern
}

// running is a trigger whose files are looked for, until it changes.
type running struct {
	outside flow.Outside
	stop    context.CancelFunc
}

// look is how it stands with one trigger.
type look struct {
	of      flow.Time // since when the trigger waits for that
	at      flow.Time
	problem string
	since   flow.Time // of the problem
	alerted bool
	written bool
}

// New returns one that looks at nothing yet.
func New(cfg Config) *Lookout {
	return &Lookout{
		Config: cfg, clock: clock.New(), lost: make(chan struct{}, 1), write: make(chan struct{}, 1), turns: make(chan struct{}, storeAtOnce),
		files: map[flow.ID]*running{}, hearers: map[flow.ID]*hearer{}, ears: map[string]*ear{}, looks: map[flow.ID]*look{}, finds: map[string]*finding{},
	}
}

// now is the time by the clock of the store, as far as it is known: other masters go on by what this one writes.
func (l *Lookout) now() flow.Time { return l.clock.Now() + flow.Time(l.ahead.Load()) }

// Run looks out until ctx ends, and a moment longer: what was heard by then is written.
func (l *Lookout) Run(ctx context.Context) {
	defer func() {
		l.stop()
		l.going.Wait()
	}()
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.endWell(ctx)
			return
		case <-l.lost:
			l.stop()
		case <-l.Hints:
			l.lookOut(ctx)
		case <-ticker.C:
			l.tell(ctx)
			if l.version != "" { // a question about the last change may have failed
				l.lookOut(ctx)
			}
		case <-l.write:
			l.tell(ctx)
		}
	}
}

// lookOut asks what there is to look out for, and does so. While the store does not answer all goes on as it was.
func (l *Lookout) lookOut(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	out, err := l.Store.LookOut(asking, l.Owner, l.version)
	if err == nil {
		l.ahead.Store(int64(out.Now - l.clock.Now()))
	}
	switch {
	case err != nil:
		l.Log.LogAttrs(ctx, slog.LevelDebug, "ask what to look out for", slog.Any("error", err))
	case !out.Mine:
		l.stop()
	case out.Version != l.version:
		if l.version == "" && out.Version != "" {
			l.Log.LogAttrs(ctx, slog.LevelInfo, "looking out for triggers", slog.Int("triggers", len(out.Triggers)))
		}
		l.version = out.Version
		l.are(ctx, out.Triggers)
	}
}

// endWell writes what was heard, and until when, before this master leaves: the next one misses less.
func (l *Lookout) endWell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	for _, e := range l.ears {
		e.end()
	}
	for _, id := range slices.Sorted(maps.Keys(l.hearers)) {
		l.hearers[id].endWell(ctx)
	}
	l.tell(ctx)
}

// are has exactly these triggers looked out for.
func (l *Lookout) are(ctx context.Context, triggers []flow.Outside) {
	looked, heard := map[flow.ID]bool{}, map[flow.ID]bool{}
	listens := map[string][]*hearer{} // by data source
	sources := map[string]flow.Outside{}
	for _, o := range triggers {
		l.known(o)
		if o.Body.Notify != nil {
			heard[o.ID] = true
			key := earOf(o)
			listens[key], sources[key] = append(listens[key], l.hearer(o)), o //nolint:contextcheck // it ends after ctx: see endWell
			continue
		}
		looked[o.ID] = true
		if r := l.files[o.ID]; r != nil {
			if sameWatch(r.outside, o) {
				continue
			}
			r.stop()
		}
		watching, stop := context.WithCancel(ctx)
		l.files[o.ID] = &running{o, stop}
		l.going.Go(func() { l.watchFiles(watching, o) })
	}
	maps.DeleteFunc(l.files, func(id flow.ID, r *running) bool {
		if !looked[id] {
			r.stop()
		}
		return !looked[id]
	})
	maps.DeleteFunc(l.hearers, func(id flow.ID, h *hearer) bool {
		if !heard[id] {
			h.stop()
		}
		return !heard[id]
	})
	maps.DeleteFunc(l.ears, func(key string, e *ear) bool {
		if listens[key] == nil {
			e.handOver() // before another one takes its triggers
		}
		return listens[key] == nil
	})
	for _, key := range slices.Sorted(maps.Keys(listens)) {
		if l.ears[key] == nil {
			l.ears[key] = l.newEar(ctx, sources[key], listens[key])
		} else {
			l.ears[key].are(listens[key])
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.looks, func(id flow.ID, _ *look) bool { return !looked[id] && !heard[id] })
}

// sameWatch tells whether two are looked out for in the same way: what was seen of them meanwhile is not that.
func sameWatch(a, b flow.Outside) bool {
	a.LookedAt, a.Problem = b.LookedAt, b.Problem
	return reflect.DeepEqual(a, b)
}

// stop ends all looks: whoever looks out from now on begins with what is written.
func (l *Lookout) stop() {
	for _, r := range l.files {
		r.stop()
	}
	for _, e := range l.ears {
		e.stop()
	}
	for _, h := range l.hearers {
		h.stop()
	}
	clear(l.files)
	clear(l.ears)
	clear(l.hearers)
	l.version = ""
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.looks)
}

// known begins to note how it stands with a trigger.
func (l *Lookout) known(o flow.Outside) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.looks[o.ID]; k == nil || k.of != o.Since {
		l.looks[o.ID] = &look{of: o.Since, problem: o.Problem, since: l.clock.Now(), written: true}
	}
}

// looked notes until when somebody looked for a trigger; 0: somebody can, and until when is not said.
func (l *Lookout) looked(o flow.Outside, at flow.Time) { l.note(o, at, "") }

// cannot notes why nobody can look.
func (l *Lookout) cannot(o flow.Outside, problem string) { l.note(o, 0, problem) }

func (l *Lookout) note(o flow.Outside, at flow.Time, problem string) {
	problem = strings.Join(strings.Fields(problem), " ") // some libraries write lines
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.looks[o.ID]
	if k == nil || k.of != o.Since { // it waits for something else meanwhile
		return
	}
	soon := k.at == 0 && at != 0 || k.problem != problem
	if problem != "" && k.problem == "" {
		k.since, k.alerted = l.clock.Now(), false
	}
	k.at, k.problem, k.written = max(k.at, at), problem, k.written && at <= k.at && !soon
	if soon {
		poke(l.write)
	}
}

// tell writes how it stands, where that is new.
func (l *Lookout) tell(ctx context.Context) {
	now := l.clock.Now()
	var news []flow.Looked
	l.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(l.looks)) {
		k := l.looks[id]
		said := flow.Looked{Trigger: id, Since: k.of, At: k.at, Problem: k.problem}
		if k.problem != "" && !k.alerted && now.Sub(k.since) >= alertAfter {
			said.Alert = "starts nothing: " + k.problem
		}
		if !k.written || said.Alert != "" {
			news = append(news, said)
		}
	}
	l.mu.Unlock()
	if len(news) == 0 {
		return
	}
	asking, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if err := l.Store.Looked(asking, l.Owner, news, l.now()); err != nil {
		l.refused(ctx, "write how it stands", err)
		return // the next tick says it
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, said := range news {
		if k := l.looks[said.Trigger]; k != nil && k.of == said.Since {
			k.written = k.at == said.At && k.problem == said.Problem
			k.alerted = k.alerted || said.Alert != ""
		}
	}
}

// refused tells whether the store said that another looks out: all looks end then.
func (l *Lookout) refused(ctx context.Context, what string, err error) bool {
	switch {
	case errors.Is(err, flow.ErrFenced):
		poke(l.lost)
		return true
	case ctx.Err() == nil:
		l.Log.LogAttrs(ctx, slog.LevelWarn, "cannot "+what, slog.Any("error", err)) //nolint:sloglint // one of a few
	}
	return false
}

// start has a decision written, and tells whether it was. Nobody learns the outcome of one that failed.
func (l *Lookout) start(ctx context.Context, d flow.OutsideDecision) (written bool, err error) {
	if !l.turn(ctx) {
		return false, ctx.Err()
	}
	defer l.turnOver()
	asking, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	written, err = l.Store.StartOutside(asking, l.Owner, d, l.now())
	if written && len(d.Commands) > 0 {
		l.Ordered()
	}
	return written, err
}

// turn waits until it may ask the store, and is false when ctx has ended.
func (l *Lookout) turn(ctx context.Context) bool {
	select {
	case l.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *Lookout) turnOver() { <-l.turns }

// pause waits, and is false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// earOf names the data source of a trigger, as it is now.
func earOf(o flow.Outside) string {
	as, _ := json.Marshal(o.DataSource) // texts and numbers: it cannot fail
	return o.ProjectName + "/" + o.Body.Notify.DataSource + " " + string(as)
}
