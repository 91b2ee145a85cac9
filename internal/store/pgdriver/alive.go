// Whether the server has ended a connection that lay idle, without asking it.

package pgdriver

import (
	"context"
	"database/sql/driver"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// silentFor is how long a connection may lie idle before the server is asked whether it still has
// it: what lies between may have forgotten it without a word.
const silentFor = 30 * time.Second

// alive tells, before a connection is used again, whether it can be. One that the server has ended
// is found out here, where trying another is harmless, and not by a commit, whose outcome would be
// unknown.
func (c *Conn) alive(ctx context.Context, now time.Time) error {
	idle := now.Sub(c.used)
	c.used = now
	if idle < silentFor && quiet(c.conn.PgConn().Conn()) {
		return nil
	}
	if err := c.conn.Ping(ctx); err != nil {
		return driver.ErrBadConn
	}
	return nil
}

// quiet tells whether nothing has come on an idle connection, not even its end. A server says
// something on its own only when it ends a session or when a parameter changes, so false means: ask.
func quiet(conn net.Conn) bool {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = wrapped.NetConn()
	}
	file, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	// Not raw.Read, which waits for its turn: pgx may still be reading, having feared that its last
	// write would block.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		silent = err == unix.EAGAIN || err == unix.EWOULDBLOCK
	})
	return err == nil && silent
}
