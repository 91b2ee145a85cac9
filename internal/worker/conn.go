// A connection to a master: dialled, kept up, read and written.

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"baton/internal/rpc"
)

// conn is one stream. A goroutine reads it, another writes it; either ends it.
type conn struct {
	id      StreamID
	address string
	cancel  context.CancelCauseFunc
	out     *mailbox[*rpc.FromWorker] // small and urgent, never blocks Core
	bulk    chan *rpc.FromWorker      // logs: they wait for room, and for everything else
}

func (c *conn) end(why error) { c.cancel(why) }

// Backoff of dialling. A master that was restarted is back within a second; so are we.
const (
	firstRedial = 20 * time.Millisecond
	lastRedial  = time.Second
	steadyAfter = 5 * time.Second // a stream that lived this long was no failed attempt
	// foreignRedial is after a master of another cluster: a person has to change something first.
	foreignRedial = 30 * time.Second
)

// foreignError is why a stream ended that led to another cluster.
type foreignError struct{ error }

// Masters tells which masters there are and how to reach one.
type Masters struct {
	// Lists gives all addresses whenever they change, and those at the beginning. The worker keeps one
	// stream to each. One that is named no more is not dialled again; a stream to it that works is kept,
	// since it says more than a list: what the lists come from may have lost its memory.
	Lists <-chan []string
	// Source says where Lists come from. The last list is kept in the data folder, and until the first one
	// comes from the same source it is gone by: a worker that starts while the registry is away finds its
	// masters, and loses no lease. "" keeps none.
	Source string
	Dial   func(ctx context.Context, address string) (rpc.Stream, error)
}

// OneMaster is a single master that never changes.
func OneMaster(dial rpc.Dialer) Masters {
	return FixedMasters([]string{"the master"}, func(ctx context.Context, _ string) (rpc.Stream, error) { return dial(ctx) })
}

// FixedMasters are masters at addresses that never change.
func FixedMasters(addresses []string, dial func(ctx context.Context, address string) (rpc.Stream, error)) Masters {
	lists := make(chan []string, 1)
	lists <- addresses
	return Masters{Lists: lists, Dial: dial}
}

// connect keeps one stream up to every master until ctx is cancelled.
func (w *Worker) connect(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	dialled, last := map[string]context.CancelFunc{}, map[string]chan struct{}{}
	follow := func(list []string) {
		for address, leave := range dialled {
			if !slices.Contains(list, address) {
				leave()
				delete(dialled, address)
			}
		}
		for _, address := range list {
			if dialled[address] != nil {
				continue
			}
			listed, leave := context.WithCancel(ctx)
			dialled[address] = leave
			// One that left the list and is back has one stream at a time: what it sent on the first must
			// not be taken after the hello on the second, which does not speak of it.
			before, done := last[address], make(chan struct{})
			last[address] = done
			wg.Go(func() {
				defer close(done)
				if before != nil {
					<-before
				}
				w.keepStream(ctx, listed, address)
			})
		}
	}
	memory := mastersFile{w.path("worker", "masters"), w.masters.Source}
	list, err := memory.read()
	if err != nil {
		w.log.WarnContext(ctx, "the last masters are not known", slog.Any("error", err))
	}
	follow(list)
	for lists := w.masters.Lists; ; {
		select {
		case <-ctx.Done():
			return
		case list, more := <-lists:
			if !more {
				lists = nil // it stays as it is
				continue
			}
			follow(list)
			// Nothing but a start without a registry hangs on it.
			if err := memory.write(list); err != nil {
				w.log.WarnContext(ctx, "the list of masters is not kept", slog.Any("error", err))
			}
		}
	}
}

// sight is which of the masters can be reached, or are known to be gone. The others may live, and
// may reach what this worker does not.
type sight struct {
	mu      sync.Mutex
	masters map[string]bool
	unseen  int // as told last
	streams int
}

func (s *sight) set(w *Worker, address string, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.masters == nil {
		s.masters = map[string]bool{}
	}
	s.masters[address] = seen
	s.tell(w)
}

func (s *sight) forget(w *Worker, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.masters, address)
	s.tell(w)
}

// seen is how many masters are reached.
func (s *sight) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// stream counts one stream more or less.
func (s *sight) stream(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams += n
}

// Figures are what a worker counts for those who watch.
type Figures struct{ Masters, Slots, Running int }

// Figures counts.
func (w *Worker) Figures() Figures {
	return Figures{w.seen.seen(), w.cfg.Slots + w.cfg.FunctionSlots, w.Running()}
}

// tell tells Core how many there are, in the order of the changes.
func (s *sight) tell(w *Worker) {
	n := 0
	for _, seen := range s.masters {
		if !seen {
			n++
		}
	}
	if n != s.unseen {
		s.unseen = n
		w.box.put(Unseen{n})
	}
}

// repeated tells which of many errors of one kind are worth a line of the log: the first, another one, and one
// each minute.
type repeated struct {
	text string
	at   time.Time
}

const sayAgain = time.Minute

func (r *repeated) worth(err error, now time.Time) bool {
	text := fmt.Sprint(err)
	if text == r.text && now.Sub(r.at) < sayAgain {
		return false
	}
	*r = repeated{text, now}
	return true
}

// keepStream keeps one stream to a master up until ctx is cancelled, and for as long as one works when
// listed is.
func (w *Worker) keepStream(ctx, listed context.Context, address string) {
	pause := firstRedial
	var told repeated
	defer w.seen.forget(w, address)
	for listed.Err() == nil {
		began := time.Now()
		err := w.session(ctx, listed, StreamID(w.lastStream.Add(1)), address)
		if listed.Err() != nil {
			if ctx.Err() == nil {
				w.log.InfoContext(ctx, "no stream any more to a master that is not listed", slog.String("master", address), slog.Any("error", err))
			}
			return
		}
		// One whose host says that nobody listens there holds nobody up.
		_, foreign := errors.AsType[*foreignError](err)
		w.seen.set(w, address, foreign || rpc.NobodyListens(err))
		switch {
		case foreign:
			pause = foreignRedial
		case time.Since(began) > steadyAfter:
			pause = firstRedial
		}
		if time.Since(began) > steadyAfter {
			told = repeated{}
			w.log.WarnContext(ctx, "the stream to a master ended; it is dialled again", slog.String("master", address), slog.Any("error", rpc.Plain(err)))
		} else if told.worth(err, time.Now()) {
			w.log.WarnContext(ctx, "a master cannot be reached; it is dialled again and again, this is said once a minute", slog.String("master", address), slog.Any("error", rpc.Plain(err)))
		}
		// Jitter: a fleet does not come back in one beat.
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-listed.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if pause = min(2*pause, lastRedial); foreign {
			pause = firstRedial
		}
	}
}

// session runs one stream from dial to end. Once it is up, only ctx ends it from this side.
func (w *Worker) session(ctx, listed context.Context, id StreamID, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dialling := context.AfterFunc(listed, func() { cancel(listed.Err()) })
	stream, err := w.masters.Dial(ctx, address)
	if !dialling() && err == nil {
		err = listed.Err()
	}
	if err != nil {
		return err
	}
	c := &conn{id: id, address: address, cancel: cancel, out: newMailbox[*rpc.FromWorker](), bulk: make(chan *rpc.FromWorker)}
	w.seen.set(w, address, true)
	w.box.put(opened{c}, StreamUp{id})
	w.seen.stream(1)
	defer w.seen.stream(-1)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(c.write(ctx, stream)) })
	wg.Go(func() { cancel(w.read(ctx, c, stream)) })
	<-ctx.Done()
	// The stream's own context is cancelled, so both return.
	wg.Wait()
	w.blobs.detach(c)
	w.reads.detach(c)
	w.box.put(StreamDown{id}, closed{c})
	return context.Cause(ctx)
}

func (c *conn) write(ctx context.Context, s rpc.Stream) error {
	for {
		select {
		case <-c.out.ready:
			for _, f := range c.out.take() {
				if err := s.Send(f); err != nil {
					return fmt.Errorf("send to master: %w", err)
				}
			}
		case f := <-c.bulk:
			if err := s.Send(f); err != nil {
				return fmt.Errorf("send to master: %w", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendBulk waits for room.
func (c *conn) sendBulk(ctx context.Context, f *rpc.FromWorker) error {
	select {
	case c.bulk <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read hands frames to Core. Logs and files are served here: no decision hangs on them.
func (w *Worker) read(ctx context.Context, c *conn, s rpc.Stream) error {
	for {
		f, err := s.Recv()
		if err != nil {
			return err
		}
		if welcome := f.GetWelcome(); welcome != nil {
			w.blobs.attach(c) // not before: the hello comes first
			if !welcome.GetOver() && !welcome.GetForeign() && welcome.GetOutrun() == 0 {
				w.log.InfoContext(ctx, "connected to a master", slog.String("master", c.address), slog.Int64("session", welcome.GetSession()))
			}
		}
		for _, r := range f.GetReadLogs() {
			w.reads.serve(ctx, c, r)
		}
		for _, b := range f.GetBlobs() {
			w.blobs.receive(b)
		}
		w.box.put(Frame{c.id, f})
	}
}

// opened and closed pass a connection to the loop, which alone knows the table of them.
type opened struct{ c *conn }

type closed struct{ c *conn }

func (opened) event() {}
func (closed) event() {}
