// The supervisor as the worker proper sees it.

package supervisor

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/worker/supervisor/link"
)

// Client is the worker proper's end of the link. It is safe for concurrent use.
type Client struct {
	conn *link.Conn
	on   Callbacks

	mu      sync.Mutex
	starts  map[int64]chan startAnswer
	running map[int64]*Remote
	ends    map[uint64][]int64 // tokens by the append that has their results
	gone    bool
}

// Callbacks is what a Client tells. They are called one at a time and must not wait for the Client.
type Callbacks struct {
	Appended func(id uint64, err error)
	Ping     func() // to be answered by Pong, from the loop that decides
	Stop     func()
	Drain    func()
	// Gone: the supervisor died. What ran is being killed.
	Gone func()
}

// Inherited is what a worker proper begins with.
type Inherited struct {
	Journal []byte
	Running []*Adopted
	// Same: the session of the journal goes on. Otherwise what the journal holds and does not run
	// is gone, because of Lost.
	Same                    bool
	Lost                    string
	Length, Renewed, Outage time.Duration // of the lease, as in Client.Lease
	Home                    string
	PID                     int // of the supervisor
}

// Adopted is a process that an earlier worker proper started.
type Adopted struct {
	*Remote
	Token   int64
	Keep    []byte
	Staging *os.File
	Began   time.Time
}

// Remote is a process that the supervisor runs for the worker proper.
type Remote struct {
	c        *Client
	token    int64
	id       Identity
	output   *os.File
	exit     chan struct{}
	how      Exit
	usage    Usage
	released chan struct{}
}

// Connect begins the work on an end of the link. Nothing is called before Serve.
func Connect(end *os.File) (*Client, Inherited, error) {
	conn, err := link.Open(end)
	if err != nil {
		return nil, Inherited{}, err
	}
	first := &link.ToWorker{}
	files, err := conn.Receive(first)
	if err != nil {
		conn.Close()
		return nil, Inherited{}, err
	}
	s := first.GetState()
	if s == nil {
		conn.Close()
		return nil, Inherited{}, errors.New("the supervisor did not begin with its state")
	}
	c := &Client{
		conn: conn, starts: map[int64]chan startAnswer{}, running: map[int64]*Remote{},
		ends: map[uint64][]int64{},
	}
	in := Inherited{
		Journal: s.GetJournal(), Same: s.GetSame(), Lost: s.GetLost(), Home: s.GetHome(), PID: int(s.GetPid()),
		Length: time.Duration(s.GetLease().GetLength()), Renewed: time.Duration(s.GetLease().GetRenewed()), Outage: time.Duration(s.GetLease().GetOutage()),
	}
	next := func() *os.File {
		if len(files) == 0 {
			return nil
		}
		f := os.NewFile(uintptr(files[0]), "inherited")
		files = files[1:]
		return f
	}
	for _, r := range s.GetRunning() {
		a := &Adopted{
			Remote: c.remote(r.GetToken(), Identity{PID: int(r.GetPid()), Start: r.GetStart()}, next()),
			Token:  r.GetToken(), Keep: r.GetKeep(), Began: time.UnixMicro(r.GetBegan()),
		}
		if r.GetStaging() {
			a.Staging = next()
		}
		if a.output == nil || r.GetStaging() && a.Staging == nil {
			conn.Close()
			return nil, Inherited{}, errors.New("the supervisor's state came without its files")
		}
		if r.GetExit() != nil {
			a.ended(r.GetExit())
		}
		in.Running = append(in.Running, a)
	}
	return c, in, nil
}

func (c *Client) remote(token int64, id Identity, output *os.File) *Remote {
	r := &Remote{c: c, token: token, id: id, output: output, exit: make(chan struct{}), released: make(chan struct{})}
	c.mu.Lock()
	c.running[token] = r
	c.mu.Unlock()
	return r
}

// Serve hears the supervisor until it is gone, or Close.
func (c *Client) Serve(on Callbacks) {
	c.on = on
	for {
		m := &link.ToWorker{}
		files, err := c.conn.Receive(m)
		if err != nil {
			c.mu.Lock()
			closed := c.gone
			c.gone = true
			c.mu.Unlock()
			if !closed {
				c.killAll()
				on.Gone()
			}
			return
		}
		c.hear(m, files)
	}
}

func (c *Client) hear(m *link.ToWorker, files []int) {
	switch b := m.GetBody().(type) {
	case *link.ToWorker_Started:
		c.started(b.Started, files)
	case *link.ToWorker_Exited:
		c.mu.Lock()
		r := c.running[b.Exited.GetToken()]
		c.mu.Unlock()
		if r != nil {
			r.ended(b.Exited.GetExit())
		}
	case *link.ToWorker_Appended:
		var err error
		if b.Appended.GetError() != "" {
			err = errors.New(b.Appended.GetError())
		}
		c.appended(b.Appended.GetId(), err)
	case *link.ToWorker_Ping:
		c.on.Ping()
	case *link.ToWorker_Drain:
		c.on.Drain()
	case *link.ToWorker_Stop:
		c.on.Stop()
	}
}

// startAnswer has neither when the supervisor is gone.
type startAnswer struct {
	started *link.Started
	remote  *Remote
}

// Start starts a process; its Spec names no Output. Whatever keep holds is given to a worker proper
// that takes this one's place, with the staging file.
func (c *Client) Start(spec Spec, keep []byte, staging *os.File) (*Remote, time.Time, error) {
	answer := make(chan startAnswer, 1)
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return nil, time.Time{}, errGone
	}
	c.starts[spec.Token] = answer
	c.mu.Unlock()
	m := &link.Start{Token: spec.Token, Args: spec.Args, Env: spec.Env, Dir: spec.Dir, Keep: keep}
	var files []int
	if staging != nil {
		its, err := duplicate(int(staging.Fd()))
		if err != nil {
			return nil, time.Time{}, &StartError{Reason: err.Error(), Ours: true, Err: err}
		}
		m.Staging, files = true, []int{its}
	}
	c.conn.Send(&link.ToSupervisor{Body: &link.ToSupervisor_Start{Start: m}}, files...)
	a := <-answer
	switch {
	case a.started == nil:
		return nil, time.Time{}, errGone
	case a.started.GetError() != "":
		return nil, time.Time{}, &StartError{Reason: a.started.GetError(), Ours: a.started.GetOurs(), Err: errors.New(a.started.GetError())}
	}
	return a.remote, time.UnixMicro(a.started.GetBegan()), nil
}

func (c *Client) started(s *link.Started, files []int) {
	a := startAnswer{started: s}
	if len(files) > 0 {
		a.remote = c.remote(s.GetToken(), Identity{PID: int(s.GetPid()), Start: s.GetStart()}, os.NewFile(uintptr(files[0]), "output"))
	}
	c.mu.Lock()
	answer := c.starts[s.GetToken()]
	delete(c.starts, s.GetToken())
	c.mu.Unlock()
	if answer != nil {
		answer <- a
	}
}

// Append orders a write to the journal; Appended answers it. Nothing is kept of the attempts of ends
// once it is done.
func (c *Client) Append(id uint64, records []byte, sync, whole bool, ends []int64) {
	if len(ends) > 0 {
		c.mu.Lock()
		c.ends[id] = ends
		c.mu.Unlock()
	}
	c.conn.Send(&link.ToSupervisor{Body: &link.ToSupervisor_Append{Append: &link.Append{
		Id: id, Records: records, Sync: sync, Whole: whole, Ends: ends,
	}}})
}

// appended answers every order up to id.
func (c *Client) appended(id uint64, err error) {
	c.mu.Lock()
	for each, ends := range c.ends {
		if each > id {
			continue
		}
		delete(c.ends, each)
		for _, token := range ends {
			if r := c.running[token]; r != nil && err == nil {
				delete(c.running, token)
				close(r.released)
			}
		}
	}
	c.mu.Unlock()
	c.on.Appended(id, err)
}

// Lease tells the supervisor what it has to guard: if it hears of no later renewal in time, it ends
// everything. Times are since boot; a length of 0 is nothing to guard; over: the session was given
// up and its attempts are being killed.
func (c *Client) Lease(length, renewed, outage time.Duration, over bool) {
	c.conn.Send(&link.ToSupervisor{Body: &link.ToSupervisor_Lease{Lease: &link.Lease{
		Length: int64(length), Renewed: int64(renewed), Outage: int64(outage), Over: over,
	}}})
}

// Pong answers a ping.
func (c *Client) Pong() {
	c.conn.Send(&link.ToSupervisor{Body: &link.ToSupervisor_Pong{Pong: true}})
}

// Done tells that everything is over after a stop or a drain; it returns when that was told, or cannot
// be.
func (c *Client) Done() {
	c.conn.Send(&link.ToSupervisor{Body: &link.ToSupervisor_Done{Done: true}})
	<-c.conn.Flushed()
}

// Close ends the link.
func (c *Client) Close() {
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	c.conn.Close()
}

// killAll is the last will of a supervisor that died: what it ran is killed by the one who still
// knows it, rather than by the next supervisor, which may never come.
func (c *Client) killAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, answer := range c.starts {
		answer <- startAnswer{}
	}
	clear(c.starts)
	for _, r := range c.running {
		select {
		case <-r.exit:
			continue
		default:
		}
		// The number is believed only with the time.
		if st, err := readStat(r.id.PID); err == nil && st.start == r.id.Start {
			unix.Kill(-r.id.PID, unix.SIGKILL) //nolint:errcheck // gone is good
		}
	}
}

// Identity names the main process.
func (r *Remote) Identity() Identity { return r.id }

// Output is the reading end of its output.
func (r *Remote) Output() *os.File { return r.output }

// Kill is Process.Kill.
func (r *Remote) Kill(grace time.Duration) bool {
	r.c.conn.Send(&link.ToSupervisor{Body: &link.ToSupervisor_Kill{Kill: &link.Kill{Token: r.token, Grace: int64(grace)}}})
	return true
}

func (r *Remote) ended(e *link.Exit) {
	r.how = Exit{Code: int(e.GetCode()), Signal: unix.Signal(e.GetSignal()), Killed: e.GetKilled(), Isolated: e.GetIsolated(), LeftBehind: int(e.GetLeftBehind())}
	r.usage = Usage{CPU: time.Duration(e.GetCpu()), Memory: e.GetMemory()}
	close(r.exit)
}

// Wait returns when nothing of the process is left. Its output may still hold something.
func (r *Remote) Wait() Exit {
	<-r.exit
	return r.how
}

// Usage is what it has used; it is known when Wait has returned.
func (r *Remote) Usage() Usage { return r.usage }

// Released is closed when the result is in the journal and the supervisor keeps nothing of the
// attempt any more.
func (r *Remote) Released() <-chan struct{} { return r.released }
