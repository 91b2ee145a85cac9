// Package postgres hears the notifications of PostgreSQL databases. It must not know what they are for.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"baton/internal/datasource"
	"baton/internal/flow"
	"baton/internal/lookout"
)

// Dial connects to a database, and sees that notifications come through: a pooler that gives connections to others after
// each transaction lets LISTEN succeed, and none come.
func Dial(ctx context.Context, source flow.DataSource, password string) (lookout.Listener, error) {
	config, err := datasource.Postgres(&source, password)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["client_encoding"] = "UTF8" // whatever the data source says: channels and payloads are read as that
	l := &listener{}
	heard := config.Copy()
	heard.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		l.queue = append(l.queue, flow.Notice{Channel: n.Channel, Payload: n.Payload, PID: n.PID})
	}
	if l.conn, err = pgconn.ConnectConfig(ctx, heard); err != nil {
		return nil, err
	}
	if err := l.try(ctx, config); err != nil {
		l.Close() //nolint:contextcheck // the end of ctx may be why
		return nil, err
	}
	return l, nil
}

// listener is one connection.
type listener struct {
	conn  *pgconn.PgConn
	queue []flow.Notice // heard, and not asked for yet
}

// probePatience is how long a notification may take that this program sends itself.
const probePatience = 3 * time.Second

// try has a second connection notify the first.
func (l *listener) try(ctx context.Context, config *pgconn.Config) error {
	channel := "baton_" + strings.ToLower(rand.Text())
	if err := l.Listen(ctx, channel); err != nil {
		return err
	}
	other, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = other.Close(ending) // it has done its work
	}()
	if err := other.Exec(ctx, "NOTIFY "+quoted(channel)).Close(); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	for {
		n, err := l.Next(waiting)
		switch {
		case err != nil && ctx.Err() == nil && waiting.Err() != nil:
			return errors.New("notifications do not come through: is there a pooler that pools transactions? Name the address of PostgreSQL itself")
		case err != nil:
			return err
		case n.Channel == channel:
			return l.Unlisten(ctx, channel)
		}
	}
}

// Listen implements lookout.Listener.
func (l *listener) Listen(ctx context.Context, channel string) error {
	return l.conn.Exec(ctx, "LISTEN "+quoted(channel)).Close()
}

// Unlisten implements lookout.Listener.
func (l *listener) Unlisten(ctx context.Context, channel string) error {
	return l.conn.Exec(ctx, "UNLISTEN "+quoted(channel)).Close()
}

// Next implements lookout.Listener.
func (l *listener) Next(ctx context.Context) (flow.Notice, error) {
	for len(l.queue) == 0 {
		if err := l.conn.WaitForNotification(ctx); err != nil {
			return flow.Notice{}, err
		}
	}
	n := l.queue[0]
	l.queue = l.queue[1:]
	return n, nil
}

// Check implements lookout.Listener.
func (l *listener) Check(ctx context.Context) error { return l.conn.Ping(ctx) }

// Close implements lookout.Listener.
func (l *listener) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx) // the server notices by itself
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
