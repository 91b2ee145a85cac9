// A connection of the ZooKeeper client, kept to the rules that client does not have: every call
// ends with its context, and a session that was lost is never silently replaced.

package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

// conn is one session. The client underneath makes a new one when that is expired; whoever uses
// conn sees over and makes another conn.
type conn struct {
	zk   *zk.Conn
	log  *slog.Logger
	once bool          // never connect again; see watching
	live chan struct{} // closed when there is a session
	lost chan struct{} // closed when the connection was lost, or the session
	gone chan struct{} // closed when the session has expired
	news chan struct{} // has one when take has something

	begun, ended, expired sync.Once

	closing atomic.Bool
	granted atomic.Int64 // nanoseconds that the server agreed to

	calls sync.WaitGroup // none begins after closing

	mu    sync.Mutex
	raw   net.Conn
	paths []string // of nodes that changed
	hosts []string
	next  int
}

// watchSession is what the session of a watch is asked to last. It holds nothing.
const watchSession = 10 * time.Second

// watching returns a connection to watch with. It is over when it is lost: the client underneath
// would ask the next server for whatever changed since the last answer that it knows of, and that
// may by then be an answer of the next server (sendSetWatches against recvLoop in version 1.0.4).
// What happened between the two nobody would be told.
func (b *backend) watching(ctx context.Context) (*conn, error) {
	c, _, err := b.connect(ctx, watchSession, true)
	return c, err
}

// connect returns when there is a session.
func (b *backend) connect(ctx context.Context, length time.Duration, once bool) (*conn, time.Duration, error) {
	c := &conn{
		log: b.log, hosts: slices.Clone(b.hosts), once: once,
		live: make(chan struct{}), lost: make(chan struct{}), gone: make(chan struct{}), news: make(chan struct{}, 1),
	}
	rand.Shuffle(len(c.hosts), func(i, j int) { c.hosts[i], c.hosts[j] = c.hosts[j], c.hosts[i] })
	var err error
	c.zk, _, err = zk.Connect(b.hosts, length,
		zk.WithHostProvider(c), zk.WithEventCallback(c.event), zk.WithLogger(c), zk.WithLogInfo(true),
		zk.WithDialer(func(network, address string, timeout time.Duration) (net.Conn, error) { //nolint:contextcheck // it outlives this call
			return c.dial(network, address, timeout, max(length, time.Second), b.tls)
		}))
	if err != nil {
		return nil, 0, err
	}
	select {
	case <-c.live:
	case <-ctx.Done():
		c.close()
		return nil, 0, ctx.Err()
	}
	if b.auth != nil {
		if _, err := call(ctx, c, func(z *zk.Conn) (struct{}, error) { return struct{}{}, z.AddAuth("digest", b.auth) }); err != nil {
			c.close()
			return nil, 0, err
		}
	}
	return c, time.Duration(c.granted.Load()), nil
}

// event hears everything, in order, before whoever waits for it.
func (c *conn) event(e zk.Event) {
	switch {
	case e.Type != zk.EventSession:
		c.mu.Lock()
		c.paths = append(c.paths, e.Path)
		c.mu.Unlock()
		select {
		case c.news <- struct{}{}:
		default:
		}
	case e.State == zk.StateExpired:
		c.expired.Do(func() { close(c.gone) })
		c.ended.Do(func() { close(c.lost) })
	case e.State == zk.StateDisconnected:
		select {
		case <-c.live:
			c.ended.Do(func() { close(c.lost) })
		default: // it never was connected
		}
	}
}

// take returns the nodes that changed.
func (c *conn) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.paths
	c.paths = nil
	return out
}

// over tells whether the session has expired.
func (c *conn) over() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// Printf implements zk.Logger. That a session began is an event too, but the length that the server
// agreed to is told here alone.
func (c *conn) Printf(format string, args ...any) {
	if strings.HasPrefix(format, "authenticated:") && len(args) == 2 {
		if ms, ok := args[1].(int32); ok {
			c.granted.Store(int64(time.Duration(ms) * time.Millisecond))
			c.begun.Do(func() { close(c.live) })
		}
	}
	c.log.LogAttrs(context.Background(), slog.LevelDebug, "zookeeper", slog.String("said", fmt.Sprintf(format, args...)))
}

// Init implements zk.HostProvider.
func (c *conn) Init([]string) error { return nil }

// Len implements zk.HostProvider.
func (c *conn) Len() int { return len(c.hosts) }

// Next implements zk.HostProvider. To begin the list anew would be to wait for a second and to fail
// what is asked meanwhile; it is also where the client looks whether it was closed.
func (c *conn) Next() (server string, retryStart bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	server = c.hosts[c.next%len(c.hosts)]
	c.next++
	return server, c.closing.Load()
}

// Connected implements zk.HostProvider.
func (c *conn) Connected() {}

// down is closed when nothing will ever be answered again; nil if that cannot be.
func (c *conn) down() <-chan struct{} {
	if c.once {
		return c.lost
	}
	return nil
}

// dial makes a connection that never waits for longer than a session lasts.
func (c *conn) dial(network, address string, timeout, most time.Duration, config *tls.Config) (raw net.Conn, err error) {
	select {
	case <-c.down():
		err = errLost
	default:
		d := net.Dialer{Timeout: timeout}
		raw, err = d.DialContext(context.Background(), network, address)
	}
	if err == nil && config != nil {
		host, _, _ := net.SplitHostPort(address)
		config = config.Clone()
		if config.ServerName == "" {
			config.ServerName = host
		}
		raw = tls.Client(raw, config)
	}
	if err == nil {
		c.mu.Lock()
		c.raw = raw
		c.mu.Unlock()
		if c.closing.Load() {
			raw.Close()
		}
		raw = &bounded{raw, most}
		if c.once {
			raw = &unnumbered{Conn: raw}
		}
		return raw, nil
	}
	pause := time.NewTimer(100 * time.Millisecond) // that asks again at once; a server that is not there answers at once
	defer pause.Stop()
	<-pause.C
	return nil, err
}

type bounded struct {
	net.Conn
	most time.Duration
}

func (b *bounded) bound(t time.Time) time.Time {
	if limit := time.Now().Add(b.most); !t.IsZero() && t.After(limit) {
		return limit
	}
	return t
}

func (b *bounded) SetReadDeadline(t time.Time) error  { return b.Conn.SetReadDeadline(b.bound(t)) }
func (b *bounded) SetWriteDeadline(t time.Time) error { return b.Conn.SetWriteDeadline(b.bound(t)) }

// unnumbered takes the number of the transaction (zxid) out of every answer but the first, which
// has none. The client underneath keeps the last one to ask a next server from there on, which a
// watch never does; and when an answer comes early it reads it while another goroutine writes it
// (sendSetWatches against recvLoop in version 1.0.4). A number of zero it does not write.
//
// An answer is a length of four bytes, then the id of four, the number of eight, and the rest.
type unnumbered struct {
	net.Conn
	answers int
	at      int    // in this answer, its length counted
	length  uint32 // of what comes after the length
}

func (u *unnumbered) Read(p []byte) (int, error) {
	n, err := u.Conn.Read(p)
	for i := range p[:n] {
		switch {
		case u.at < 4:
			u.length = u.length<<8 | uint32(p[i])
		case u.answers > 0 && u.at >= 8 && u.at < 16:
			p[i] = 0
		}
		u.at++
		if u.at >= 4 && u.at-4 == int(u.length) {
			u.answers, u.at, u.length = u.answers+1, 0, 0
		}
	}
	return n, err
}

// close ends the session, within about a second, and the connection. The client underneath may
// not be closed while something is asked: it would answer and be answered into the same memory.
func (c *conn) close() {
	c.mu.Lock()
	c.closing.Store(true)
	c.mu.Unlock()
	idle := make(chan struct{})
	go func() { c.calls.Wait(); close(idle) }()
	patience := time.NewTimer(200 * time.Millisecond)
	defer patience.Stop()
	select {
	case <-idle:
	case <-patience.C:
		c.disconnect() // whatever waits is answered by that
		<-idle
	}
	c.zk.Close()
	c.disconnect()
}

func (c *conn) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw != nil {
		c.raw.Close()
	}
}

var (
	errClosed = errors.New("the connection to ZooKeeper is closed")
	errLost   = errors.New("the connection to ZooKeeper was lost")
)

// call asks something, for as long as ctx allows.
func call[T any](ctx context.Context, c *conn, ask func(*zk.Conn) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	answered := make(chan answer, 1)
	c.mu.Lock()
	if c.closing.Load() {
		c.mu.Unlock()
		answered <- answer{err: errClosed}
	} else {
		c.calls.Go(func() {
			v, err := ask(c.zk)
			answered <- answer{v, err}
		})
		c.mu.Unlock()
	}
	select {
	case a := <-answered:
		if errors.Is(a.err, zk.ErrClosing) {
			a.err = errClosed
		}
		return a.v, a.err
	case <-c.down():
		var none T
		return none, errLost
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
