// Processes on behalf of the worker proper, and its journal.

package supervisor

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/worker/supervisor/link"
)

// start starts a process; beside the loop, since a fork takes its time.
func (h *Host) start(s *link.Start, files []int) {
	a := &hosted{keep: s.GetKeep(), staging: -1}
	if s.GetStaging() && len(files) > 0 {
		a.staging = files[0]
	}
	h.forking++
	go func() {
		var err error
		a.p, err = h.sup.Start(Spec{Token: s.GetToken(), Args: s.GetArgs(), Env: s.GetEnv(), Dir: s.GetDir()})
		a.began = time.Now()
		// First of all it is guarded: a disk that hangs must not keep it from the end of the lease.
		h.do(func() { h.forked(s.GetToken(), a, err) })
		if err != nil {
			return
		}
		// It is noted before anybody is told. A disk that does not take it is no reason to end it:
		// without the note it is found by its marks.
		if err := h.cfg.Journal.Began(s.GetToken(), a.p.Identity(), a.began); err != nil {
			h.log.Warn("journal not written", slog.Any("error", err))
		}
		h.do(func() { h.begun(s.GetToken(), a) })
	}()
}

// forked takes up a process, or tells why there is none.
func (h *Host) forked(token int64, a *hosted, err error) {
	h.forking--
	if err != nil {
		closeFile(a.staging)
		answer := &link.Started{Token: token, Error: err.Error()}
		if se := (*StartError)(nil); errors.As(err, &se) {
			answer.Ours = se.Ours
		}
		h.tell(&link.ToWorker{Body: &link.ToWorker_Started{Started: answer}})
		return
	}
	h.noting++
	h.attempts[token] = a
	h.watch(token, a)
	if h.isolating {
		a.p.Kill(0)
		a.isolated = true
	}
}

// begun tells of a process that is noted, and of its end when that was quicker.
func (h *Host) begun(token int64, a *hosted) {
	h.noting--
	a.told = true
	id := a.p.Identity()
	output, err := duplicate(a.p.fd)
	if err != nil { // no file is left: the next worker proper, which has none open, may have more luck
		h.log.Error("the worker is started anew", slog.Any("error", err))
		h.end(h.proper)
		return
	}
	h.tell(&link.ToWorker{Body: &link.ToWorker_Started{Started: &link.Started{
		Token: token, Pid: int32(id.PID), Start: id.Start, Began: a.began.UnixMicro(),
	}}}, output)
	if a.exit != nil {
		h.tellExit(token, a)
	}
}

func (h *Host) tellExit(token int64, a *hosted) {
	h.tell(&link.ToWorker{Body: &link.ToWorker_Exited{Exited: &link.Exited{Token: token, Exit: a.exit}}})
}

// tell sends a message to the worker proper, if there is one. The next one finds it in its state.
func (h *Host) tell(m *link.ToWorker, files ...int) {
	if h.proper != nil {
		h.proper.conn.Send(m, files...)
		return
	}
	closeFiles(files)
}

func closeFiles(fds []int) {
	for _, fd := range fds {
		closeFile(fd)
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
			if a.told {
				h.tellExit(token, a)
			}
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
}

// diskOrder is an order to the journal: to write for a worker proper, or to read it for the next one.
type diskOrder struct {
	from *proper
	a    *link.Append
	read func(journal []byte, err error) // on the loop; nil: it is to write
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

// take returns what is done together: one reading, or what is written before the next.
func (d *hostDisk) take() []diskOrder {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := slices.IndexFunc(d.orders, func(o diskOrder) bool { return o.read != nil })
	switch n {
	case -1:
		n = len(d.orders)
	case 0:
		n = 1
	}
	batch := d.orders[:n:n]
	d.orders, d.busy = d.orders[n:], n > 0
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
			if read := batch[0].read; read != nil {
				journal, err := d.h.cfg.Journal.Contents()
				d.h.do(func() { read(journal, err) })
				continue
			}
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
		if err := d.h.cfg.Journal.Sync(); err != nil {
			return false, err
		}
	}
	for _, o := range batch {
		d.h.cfg.Journal.Ended(o.a.GetEnds())
	}
	return synced, nil
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
	for batch := d.take(); len(batch) > 0; batch = d.take() {
		if batch[0].read != nil {
			continue // nobody is started any more
		}
		if _, err := d.write(batch); err != nil {
			d.h.log.Warn("journal not written", slog.Any("error", err))
		}
	}
}
