// Carrying a script out on one connection.

package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"sync"
	"time"

	"baton/internal/task"
)

const (
	connectTimeout = 15 * time.Second
	endTimeout     = 30 * time.Second // of a commit, rollback or reset, which a cancelled attempt does not cut short
)

// running is a connection at work for an attempt.
type running struct {
	ctx     context.Context //nolint:containedctx // the attempt's, for as long as running lives
	inner   context.Context //nolint:containedctx // what statements run under
	dialect dialect
	conn    *sql.Conn
	detach  func()
	log     io.Writer
	alive   func()
}

func connect(ctx context.Context, db *sql.DB, d dialect, a *task.Attempt) (*running, error) {
	connectCtx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := db.Conn(connectCtx)
	if err != nil {
		return nil, err
	}
	r := &running{ctx: ctx, dialect: d, conn: conn, log: a.Log, alive: a.Alive}
	if r.alive == nil {
		r.alive = func() {}
	}
	inner, detach, err := d.attach(ctx, db, conn, a.Log)
	if err != nil {
		r.detach = func() {}
		r.drop()
		return nil, err
	}
	r.inner, r.detach = inner, sync.OnceFunc(detach)
	return r, nil
}

// all runs the script and commits it. After an error the connection is only fit to be dropped.
func (r *running) all(s *script, result *result) error {
	if s.transaction {
		if _, err := r.dialect.run(r.inner, r.conn, r.dialect.begin(s), nil, nil); err != nil {
			return r.failure("begin", nil, err)
		}
	}
	for i := range s.steps {
		if err := r.step(&s.steps[i], i, len(s.steps), result); err != nil {
			if s.transaction {
				r.rollback()
			}
			return err
		}
	}
	if err := result.complete(); err != nil {
		if s.transaction {
			r.rollback()
		}
		return err
	}
	if s.transaction {
		if err := r.commit(); err != nil {
			return err
		}
	}
	return result.publish()
}

func (r *running) step(st *step, i, n int, result *result) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	fmt.Fprintf(r.log, "%s (%d of %d): %s\n", st.part, i+1, n, shortened(st.text)) //nolint:errcheck // a log that cannot be written fails nothing
	r.alive()
	tally := &tally{alive: r.alive}
	if st.wants {
		tally.next = result
	}
	begin := time.Now()
	// A result that is refused half way must not be read to its end.
	stepCtx, cancel := context.WithCancel(r.inner)
	defer cancel()
	tally.stop = cancel
	changed, err := r.dialect.run(stepCtx, r.conn, st.bound, st.args, tally)
	if tally.err != nil {
		return tally.err
	}
	if err == nil {
		err = r.ctx.Err() // MySQL ends some interrupted statements as if all were well
	}
	if err != nil {
		return r.failure(st.part, st, err)
	}
	if st.wants {
		result.changed += changed
	}
	fmt.Fprintf(r.log, "%s in %v\n", tally.summary(changed), time.Since(begin).Round(time.Millisecond)) //nolint:errcheck // as above
	r.alive()
	return nil
}

func (r *running) commit() error {
	if err := r.ctx.Err(); err != nil {
		r.rollback()
		return err
	}
	r.detach() // from here on a cancellation comes too late
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endTimeout)
	defer cancel()
	if _, err := r.dialect.run(ctx, r.conn, "commit", nil, nil); err != nil {
		if _, told := r.dialect.explain(err); told {
			return r.failure("commit", nil, err)
		}
		return &task.Failure{Cause: causeConnect, Message: "the connection broke during the commit, so it is not known whether the changes are in the database", Err: err}
	}
	return nil
}

// rollback frees locks at once; were it to fail, the end of the connection does the same.
func (r *running) rollback() {
	r.detach()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endTimeout)
	defer cancel()
	r.dialect.run(ctx, r.conn, "rollback", nil, nil) //nolint:errcheck // see above
}

// keep gives the connection back for other attempts if nothing of this one is left in it.
func (r *running) keep(stateful bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), endTimeout)
	defer cancel()
	r.detach()
	if r.ctx.Err() != nil || !r.dialect.reset(ctx, r.conn, stateful) {
		r.bad()
	}
	r.conn.Close()
}

func (r *running) drop() {
	r.detach()
	r.bad()
	r.conn.Close()
}

// bad makes the pool close the connection instead of keeping it.
func (r *running) bad() {
	r.conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // it returns what the function does
}
