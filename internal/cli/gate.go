// A port that outlives those who serve on it: a master that begins anew takes over its listener, and
// who dials meanwhile waits.

package cli

import (
	"errors"
	"net"
	"sync"
	"time"
)

// passing is an error that may be over soon: of accept that is well defined.
type passing interface {
	error
	Temporary() bool
}

// acceptAgain is the pause after an error of accept that passes.
const acceptAgain = 100 * time.Millisecond

// gate hands the connections of one listener to whoever serves at the moment.
type gate struct {
	net.Listener
	conns chan net.Conn
	err   error
	ended chan struct{} // closed when the listener is; err says why
	once  sync.Once
	shut  chan struct{}
}

func newGate(l net.Listener) *gate {
	g := &gate{Listener: l, conns: make(chan net.Conn), ended: make(chan struct{}), shut: make(chan struct{})}
	go g.accept()
	return g
}

func (g *gate) accept() {
	defer close(g.ended)
	for {
		c, err := g.Accept()
		if e, ok := errors.AsType[passing](err); ok && e.Temporary() {
			// Too many open files, or a client that left: the port must not stay deaf for that.
			select {
			case <-time.After(acceptAgain):
				continue
			case <-g.shut:
				err = net.ErrClosed
			}
		}
		if err != nil {
			g.err = err
			return
		}
		select {
		case g.conns <- c:
		case <-g.shut:
			c.Close()
			g.err = net.ErrClosed
			return
		}
	}
}

// Close implements net.Listener.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.shut) })
	return g.Listener.Close()
}

// turn is one who serves.
type turn struct {
	*gate
	once sync.Once
	over chan struct{}
}

// turn returns a listener whose end leaves the port open.
func (g *gate) turn() net.Listener { return &turn{gate: g, over: make(chan struct{})} }

// Accept implements net.Listener.
func (t *turn) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.over:
		return nil, net.ErrClosed
	case <-t.ended:
		return nil, t.err
	}
}

// Close implements net.Listener.
func (t *turn) Close() error {
	t.once.Do(func() { close(t.over) })
	return nil
}
