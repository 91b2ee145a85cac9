// A supervisor that takes up another program in place: the process, its children and its files
// stay, what it knew goes through a file in memory.

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"baton/internal/clock"
	"baton/internal/worker/supervisor/link"
)

// HandoverVar tells a program that it takes another's place, as VERSION:FILE:PROPER. It is text
// that every version reads, so that one which cannot read the rest still knows what to end.
const HandoverVar = "BATON_HANDOVER"

// handoverVersion changes when an older or newer program would read the state wrongly.
const handoverVersion = 1

const (
	// settleWithin is how long disk and forks may take to come to rest: the loop guards no lease meanwhile.
	settleWithin = time.Second
	// flushWithin is how long the worker proper may take to read what it was told last.
	flushWithin = time.Second
)

var errUnsettled = fmt.Errorf("what is being written or started takes longer than %s: try again when the disk answers", settleWithin)

// handOver runs the program on disk in this one's place. It returns only when that failed, and
// everything goes on as before.
func (h *Host) handOver() error {
	path, err := h.cfg.Program()
	if err != nil {
		return err
	}
	h.handing = true
	defer func() { h.handing = false }()
	defer h.listenOn()
	told, err := h.settle()
	if err != nil {
		return err
	}
	if !told {
		h.end(h.proper) // it does not read what it is told; the next one is told it anew
	}
	tokens := make([]int64, 0, len(h.attempts))
	ps := make([]*Process, 0, len(h.attempts))
	for token, a := range h.attempts {
		tokens, ps = append(tokens, token), append(ps, a.p)
	}
	snapshots, thaw := h.sup.Freeze(ps)
	open := &inherited{}
	state, err := h.handover(tokens, snapshots, open)
	if err == nil {
		err = h.execute(path, state, open)
	}
	open.close()
	thaw()
	return err
}

// listenOn takes back what settle did.
func (h *Host) listenOn() {
	p := h.proper
	if p == nil {
		return
	}
	for listening := true; listening; { // it was told to come back
		select {
		case do := <-h.events:
			do()
		case <-p.listening:
			listening = false
		}
	}
	if p.deaf {
		return
	}
	p.interrupted.Store(false)
	p.conn.Resume()
	p.listening = make(chan struct{})
	go h.listen(p)
}

// settle comes to rest: nothing is half read, half started, half written or half told. It tells whether
// the worker proper has read all that it was told.
func (h *Host) settle() (told bool, err error) {
	var listening <-chan struct{}
	if p := h.proper; p != nil && !p.deaf {
		p.interrupted.Store(true)
		p.conn.Interrupt()
		listening = p.listening
	}
	late := time.NewTimer(settleWithin)
	defer late.Stop()
	for !h.rests(listening) {
		select {
		case do := <-h.events:
			do()
		case <-late.C:
			return false, errUnsettled
		case <-time.After(time.Millisecond): // the disk does not say when it is done
		}
	}
	if h.proper == nil || h.proper.deaf {
		return true, nil
	}
	late.Reset(flushWithin)
	for {
		select {
		case <-h.proper.conn.Flushed():
			return true, nil
		case do := <-h.events:
			do()
		case <-late.C:
			return false, nil
		}
	}
}

// rests tells whether nothing is under way here.
func (h *Host) rests(listening <-chan struct{}) bool {
	if listening != nil {
		select {
		case <-listening:
		default:
			return false
		}
	}
	// The events last: what the others had to tell is among them.
	return h.forking == 0 && h.noting == 0 && h.disk.quiet() && len(h.events) == 0
}

// inherited are copies of files that the next program gets.
type inherited struct{ fds []int }

func (i *inherited) add(file int) (int32, error) {
	if file < 0 {
		return -1, nil
	}
	fd, err := unix.Dup(file)
	if err != nil {
		return -1, fmt.Errorf("copy file: %w", err)
	}
	i.fds = append(i.fds, fd)
	return int32(fd), nil
}

func (i *inherited) close() {
	for _, fd := range i.fds {
		unix.Close(fd) //nolint:errcheck // a copy
	}
}

// handover is everything the next program has to know.
func (h *Host) handover(tokens []int64, snapshots []Snapshot, open *inherited) (*link.Handover, error) {
	state := &link.Handover{Lease: h.lease.wire(), Same: h.same, Lost: h.lost, Link: -1}
	var err error
	if state.Lock, err = open.add(int(h.cfg.Lock.Fd())); err != nil {
		return nil, err
	}
	if p := h.proper; p != nil && !p.deaf && !p.ending {
		state.Proper = int32(p.process.Pid)
		f, err := p.conn.File()
		if err != nil {
			return nil, fmt.Errorf("copy link: %w", err)
		}
		defer f.Close()
		if state.Link, err = open.add(int(f.Fd())); err != nil {
			return nil, err
		}
		var files []int
		state.Read, files = p.conn.Rest()
		for _, fd := range files {
			copied, err := open.add(fd)
			if err != nil {
				return nil, err
			}
			state.Files = append(state.Files, copied)
		}
	}
	for i, snap := range snapshots {
		a := h.attempts[tokens[i]]
		held := &link.Held{
			Running: a.running(tokens[i]), Killed: snap.Killed, HardAt: int64(clock.SinceBoot() + snap.Grace),
			Isolated: a.isolated, Reaped: snap.Reaped, Cgroup: snap.Group, CgroupCpu: int64(snap.GroupCPU),
		}
		if snap.Reaped {
			held.Status = &link.Exit{
				Code: int32(snap.Status.Code), Signal: int32(snap.Status.Signal), Cpu: int64(snap.Usage.CPU), Memory: snap.Usage.Memory,
			}
		}
		if held.Output, err = open.add(a.p.fd); err != nil {
			return nil, err
		}
		if held.Staging, err = open.add(a.staging); err != nil {
			return nil, err
		}
		state.Held = append(state.Held, held)
	}
	return state, nil
}

// execute becomes the program. It returns only when that failed.
func (h *Host) execute(path string, state *link.Handover, open *inherited) error {
	b, err := proto.Marshal(state)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	fd, err := unix.MemfdCreate("baton-handover", 0)
	if err != nil {
		return fmt.Errorf("make file for state: %w", err)
	}
	open.fds = append(open.fds, fd)
	for at := 0; at < len(b); {
		n, err := unix.Pwrite(fd, b[at:], int64(at))
		if err != nil {
			return fmt.Errorf("write state: %w", err)
		}
		at += n
	}
	env := append(os.Environ(), fmt.Sprintf("%s=%d:%d:%d", HandoverVar, handoverVersion, fd, state.GetProper()))
	h.log.Info("taking up the program on disk, tasks run on", slog.Int("running", len(state.GetHeld())))
	// A signal that comes before the next program listens must not end it.
	signal.Ignore(unix.SIGHUP, unix.SIGUSR2)
	err = syscall.Exec(path, h.cfg.Self, env)
	signal.Notify(h.signals, unix.SIGHUP, unix.SIGUSR2)
	return fmt.Errorf("execute %s: %w", path, err)
}

// Handover is what a program before this one handed over.
type Handover struct {
	state *link.Handover
	Lock  *os.File // of the data folder
}

// TakeOver returns what a program before this one handed over, nil when this process began by
// itself. One that cannot be read is an error: then everything it held is closed and its worker
// proper ended, and it is as if the supervisor had died.
func TakeOver() (*Handover, error) {
	text, handed := os.LookupEnv(HandoverVar)
	if !handed {
		return nil, nil
	}
	os.Unsetenv(HandoverVar) //nolint:errcheck // the name is a good one
	fields := strings.Split(text, ":")
	state, err := readHandover(fields)
	if err == nil {
		return state, nil
	}
	if len(fields) > 2 {
		if pid, perr := strconv.Atoi(fields[2]); perr == nil && pid > 1 && isChild(pid) {
			unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // gone is good
			var status unix.WaitStatus
			unix.Wait4(pid, &status, 0, nil) //nolint:errcheck // gone is good
		}
	}
	closeInherited()
	return nil, err
}

func readHandover(fields []string) (*Handover, error) {
	if len(fields) < 3 || fields[0] != strconv.Itoa(handoverVersion) {
		return nil, fmt.Errorf("the program before this one hands over in version %s, this one reads %d", fields[0], handoverVersion)
	}
	fd, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	f := os.NewFile(uintptr(fd), "handover")
	if f == nil {
		return nil, errors.New("read state: it is no file")
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	h := &Handover{state: &link.Handover{}}
	if err := proto.Unmarshal(b, h.state); err != nil || h.state.GetLock() <= 2 {
		return nil, errors.Join(errors.New("read state: it is damaged"), err)
	}
	h.Lock = os.NewFile(uintptr(inherit(h.state.GetLock())), "lock")
	return h, nil
}

// inherit takes an inherited file, which no child is to inherit in turn.
func inherit(fd int32) int {
	if fd >= 0 {
		unix.CloseOnExec(int(fd))
	}
	return int(fd)
}

// closeInherited closes what the program before left open: everything of this one closes itself at
// an exec.
func closeInherited() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd) //nolint:errcheck // whatever it is
		}
	}
}

// Restore goes on from what the program before this one handed over. It is called before Run.
func (h *Host) Restore(from *Handover) error {
	s := from.state
	h.lease, h.same, h.lost = leaseOf(s.GetLease()), s.GetSame(), s.GetLost()
	if h.sup.groups != nil {
		h.sup.groups.tidy()
	}
	for _, held := range s.GetHeld() {
		h.restoreAttempt(held)
	}
	if s.GetLink() < 0 {
		if s.GetProper() > 0 {
			return errors.New("restore: a worker without a link")
		}
		return nil
	}
	conn, err := link.Open(os.NewFile(uintptr(inherit(s.GetLink())), "link"))
	if err != nil {
		return err
	}
	files := make([]int, 0, len(s.GetFiles()))
	for _, fd := range s.GetFiles() {
		files = append(files, inherit(fd))
	}
	conn.Restore(s.GetRead(), files)
	process, err := os.FindProcess(int(s.GetProper()))
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	h.sup.SetAside(process.Pid)
	h.proper = &proper{process: process, conn: conn, began: time.Now(), listening: make(chan struct{}), ready: true}
	h.pingAt = time.Now().Add(h.pingEvery())
	go h.listen(h.proper)
	go h.wait(h.proper)
	return nil
}

func (h *Host) restoreAttempt(held *link.Held) {
	r := held.GetRunning()
	st := held.GetStatus()
	if r.GetExit() != nil {
		held.Cgroup = "" // given back
	}
	p := h.sup.Restore(Snapshot{
		Token: r.GetToken(), ID: Identity{PID: int(r.GetPid()), Start: r.GetStart()}, Killed: held.GetKilled(),
		Grace: max(0, time.Duration(held.GetHardAt())-clock.SinceBoot()), Reaped: held.GetReaped(),
		Status: Exit{Code: int(st.GetCode()), Signal: unix.Signal(st.GetSignal())},
		Usage:  Usage{CPU: time.Duration(st.GetCpu()), Memory: st.GetMemory()},
		Group:  held.GetCgroup(), GroupCPU: time.Duration(held.GetCgroupCpu()),
	}, inherit(held.GetOutput()))
	a := &hosted{
		p: p, keep: r.GetKeep(), staging: inherit(held.GetStaging()), began: time.UnixMicro(r.GetBegan()),
		isolated: held.GetIsolated(), told: true, exit: r.GetExit(),
	}
	h.attempts[r.GetToken()] = a
	if a.exit == nil {
		h.watch(r.GetToken(), a)
		return
	}
	h.sup.gone(p)
}
