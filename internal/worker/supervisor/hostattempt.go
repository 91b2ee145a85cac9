// Processes on behalf of the worker proper, and its journal.

package supervisor

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/worker/supervisor/link"
)

// start starts a process; beside the loop, since a fork takes its time.
func (h *Host) start(s *link.Start, files []int) {
	staging := -1
	if s.GetStaging() && len(files) > 0 {
		staging = files[0]
	}
	h.starting++
	go func() {
		p, err := h.sup.Start(Spec{Token: s.GetToken(), Args: s.GetArgs(), Env: s.GetEnv(), Dir: s.GetDir()})
		began := time.Now()
		if err == nil {
			// It is noted before anybody is told. A disk that does not take it is no reason to end it:
			// without the note it is found by its marks.
			if jerr := h.cfg.Journal.Began(s.GetToken(), p.Identity(), began); jerr != nil {
				h.log.Warn("journal not written", slog.Any("error", jerr))
			}
		}
		h.do(func() { h.begun(s, p, began, staging, err) })
	}()
}

func (h *Host) begun(s *link.Start, p *Process, began time.Time, staging int, err error) {
	h.starting--
	answer := &link.Started{Token: s.GetToken()}
	if err != nil {
		closeFile(staging)
		answer.Error = err.Error()
		if se := (*StartError)(nil); errors.As(err, &se) {
			answer.Ours = se.Ours
		}
		h.tell(&link.ToWorker{Body: &link.ToWorker_Started{Started: answer}})
		return
	}
	a := &hosted{p: p, keep: s.GetKeep(), staging: staging, began: began}
	h.attempts[s.GetToken()] = a
	h.watch(s.GetToken(), a)
	if h.isolating {
		p.Kill(0)
		a.isolated = true
	}
	answer.Pid, answer.Start, answer.Began = int32(p.id.PID), p.id.Start, began.UnixMicro()
	output, err := duplicate(p.fd)
	if err != nil { // no file is left: the next worker proper, which has none open, may have more luck
		h.log.Error("the worker is started anew", slog.Any("error", err))
		h.end(h.proper)
		return
	}
	h.tell(&link.ToWorker{Body: &link.ToWorker_Started{Started: answer}}, output)
}

// tell sends a message to the worker proper, if there is one. The next one finds it in its state.
func (h *Host) tell(m *link.ToWorker, files ...int) {
	if h.proper != nil {
		h.proper.conn.Send(m, files...)
		return
	}
	for _, f := range files {
		closeFile(f)
	}
}

func closeFile(fd int) {
	if fd >= 0 {
		unix.Close(fd) //nolint:errcheck // a copy, or read to its end
	}
}

// watch waits for the end of an attempt.
func (h *Host) watch(token int64, a *hosted) {
	go func() {
		exit := a.p.Wait()
		used := a.p.Usage()
		h.do(func() {
			a.exit = &link.Exit{
				Code: int32(exit.Code), Signal: int32(exit.Signal), Killed: exit.Killed, LeftBehind: int32(exit.LeftBehind),
				Cpu: int64(used.CPU), Memory: used.Memory, Isolated: exit.Killed && a.isolated,
			}
			h.tell(&link.ToWorker{Body: &link.ToWorker_Exited{Exited: &link.Exited{Token: token, Exit: a.exit}}})
		})
	}()
}

// release forgets attempts whose results are in the journal.
func (h *Host) release(tokens []int64) {
	for _, token := range tokens {
		a := h.attempts[token]
		if a == nil || a.exit == nil {
			continue
		}
		a.p.Release()
		closeFile(a.staging) // its content is in the log
		delete(h.attempts, token)
	}
	h.cfg.Journal.Ended(tokens)
}

// diskOrder is an order to the journal, and who gave it.
type diskOrder struct {
	from *proper
	a    *link.Append
}

// hostDisk carries out orders to the journal beside the loop, so that a slow disk holds up nothing
// else. What queued up while it wrote goes into the next write together.
type hostDisk struct {
	h *Host

	mu     sync.Mutex
	orders []diskOrder
	busy   bool
	poke   chan struct{}
	ended  chan struct{}
	end    chan struct{}
}

func newHostDisk(h *Host) *hostDisk {
	return &hostDisk{h: h, poke: make(chan struct{}, 1), end: make(chan struct{}), ended: make(chan struct{})}
}

func (d *hostDisk) put(o diskOrder) {
	d.mu.Lock()
	d.orders = append(d.orders, o)
	d.mu.Unlock()
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// quiet tells whether nothing is to be written, and everything that was is told.
func (d *hostDisk) quiet() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.orders) == 0 && !d.busy
}

func (d *hostDisk) take() []diskOrder {
	d.mu.Lock()
	defer d.mu.Unlock()
	batch := d.orders
	d.orders, d.busy = nil, len(batch) > 0
	return batch
}

// syncIdle is how long a result may stay unsynced: by then it is likely that no master takes it.
const syncIdle = time.Second

func (d *hostDisk) run() {
	defer close(d.ended)
	dirty := false
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	defer idle.Stop()
	for {
		for batch := d.take(); len(batch) > 0; batch = d.take() {
			synced, err := d.write(batch)
			if !synced && !dirty {
				dirty = true
				idle.Reset(syncIdle)
			}
			d.h.do(func() { d.h.written(batch, err) })
		}
		select {
		case <-d.poke:
		case <-idle.C:
			dirty = false
			if err := d.h.cfg.Journal.Sync(); err != nil {
				d.h.log.Warn("journal not synced", slog.Any("error", err))
			}
		case <-d.end:
			return
		}
	}
}

func (d *hostDisk) write(batch []diskOrder) (synced bool, err error) {
	var records []byte
	for _, o := range batch {
		synced = synced || o.a.GetSync() || o.a.GetWhole()
		if o.a.GetWhole() {
			records = records[:0] // it holds whatever came before it
			if err := d.h.cfg.Journal.Replace(o.a.GetRecords()); err != nil {
				return false, err
			}
			continue
		}
		records = append(records, o.a.GetRecords()...)
	}
	if len(records) > 0 {
		if err := d.h.cfg.Journal.Append(records); err != nil {
			return false, err
		}
	}
	if synced {
		return true, d.h.cfg.Journal.Sync()
	}
	return false, nil
}

// written answers orders to the journal. Nothing of an attempt is kept once its result is there.
func (h *Host) written(batch []diskOrder, err error) {
	var last diskOrder
	for _, o := range batch {
		last = o
		if err == nil {
			h.release(o.a.GetEnds())
		}
	}
	answer := &link.Appended{Id: last.a.GetId()}
	if err != nil {
		answer.Error = err.Error()
	}
	if last.from == h.proper {
		h.tell(&link.ToWorker{Body: &link.ToWorker_Appended{Appended: answer}})
	}
}

// close ends the disk; what was ordered is written.
func (d *hostDisk) close() {
	close(d.end)
	<-d.ended
	if batch := d.take(); len(batch) > 0 {
		if _, err := d.write(batch); err != nil {
			d.h.log.Warn("journal not written", slog.Any("error", err))
		}
	}
}
