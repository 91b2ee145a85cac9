// The one writer of a SQLite file: a goroutine with two queues.

package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"baton/internal/flow"
)

const (
	// writerGroup bounds how many waiting API writes share a transaction, and with it how long the
	// engine may wait for one.
	writerGroup = 64
	// writerTurns is how many engine transactions may pass while the API waits.
	writerTurns = 8
)

// sqliteWriter runs writes one after another on one connection. Writes of the engine go first,
// each in a transaction of its own, for it is a group already; writes of the API that wait
// together share a transaction and with it one fsync.
type sqliteWriter struct {
	db       *sql.DB
	conn     *sql.Conn
	prepared map[string]*sql.Stmt // by text, on conn

	engine, api chan *sqliteJob
	stop        chan struct{}
	stopped     chan struct{}
	once        sync.Once
}

// sqliteJob is one write. taken is set by who gets it first: the writer, or a caller that gives up.
type sqliteJob struct {
	fn    func(querier) error
	taken atomic.Bool
	err   error
	done  chan struct{}
}

func newSQLiteWriter(ctx context.Context, db *sql.DB) (*sqliteWriter, error) {
	db.SetMaxOpenConns(1)
	w := &sqliteWriter{
		db: db, engine: make(chan *sqliteJob), api: make(chan *sqliteJob, writerGroup),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	go w.run() //nolint:contextcheck // it lives until close
	return w, nil
}

func (w *sqliteWriter) connect(ctx context.Context) (err error) {
	if w.conn != nil {
		_ = w.conn.Close() // it is broken already
	}
	w.prepared = map[string]*sql.Stmt{}
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	return w.conn.PingContext(ctx)
}

// do hands fn to the writer and waits. A caller that gives up before its turn has written
// nothing; afterwards it waits for the short rest, so that the outcome is never unknown.
func (w *sqliteWriter) do(ctx context.Context, c class, fn func(querier) error) error {
	j := &sqliteJob{fn: fn, done: make(chan struct{})}
	queue := w.engine
	if c == forAPI {
		queue = w.api
	}
	select {
	case queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return flow.Errorf(flow.CodeUnavailable, "store", "the store is closed")
	}
	select {
	case <-j.done:
	case <-w.stopped:
		select {
		case <-j.done:
		default:
			return flow.Errorf(flow.CodeUnavailable, "store", "the store is closed")
		}
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-j.done
	}
	return j.err
}

func (w *sqliteWriter) close() error {
	var err error
	w.once.Do(func() {
		close(w.stop)
		<-w.stopped
		err = errors.Join(w.conn.Close(), w.db.Close())
	})
	return err
}

func (w *sqliteWriter) run() {
	defer close(w.stopped)
	turns := 0
	for {
		if turns < writerTurns || len(w.api) == 0 {
			select {
			case j := <-w.engine:
				w.transact([]*sqliteJob{j})
				turns++
				continue
			default:
			}
		}
		turns = 0
		select {
		case j := <-w.engine:
			w.transact([]*sqliteJob{j})
		case j := <-w.api:
			w.transact(w.gather(j))
		case <-w.stop:
			return
		}
	}
}

// gather takes what else waits for the API.
func (w *sqliteWriter) gather(first *sqliteJob) []*sqliteJob {
	jobs := []*sqliteJob{first}
	for len(jobs) < writerGroup {
		select {
		case j := <-w.api:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// transact runs jobs in one transaction. A job that fails is undone alone; when the transaction
// itself fails, all of them have.
func (w *sqliteWriter) transact(jobs []*sqliteJob) {
	live := jobs[:0]
	for _, j := range jobs {
		if j.taken.CompareAndSwap(false, true) {
			live = append(live, j)
		}
	}
	if len(live) == 0 {
		return
	}
	if err := w.group(live); err != nil {
		for _, j := range live {
			if j.err == nil {
				j.err = err
			}
		}
		if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
			_ = w.connect(context.Background()) // if this fails, so does the next job, with its reason
		}
	}
	for _, j := range live {
		close(j.done)
	}
}

// The statements below run without the callers' contexts: an interrupted one would roll back the
// transaction of everybody.
func (w *sqliteWriter) group(jobs []*sqliteJob) (err error) {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// After a full disk SQLite has rolled back already; that error says nothing new.
			_ = w.exec("ROLLBACK")
		}
	}()
	q := sqliteTx{w}
	if len(jobs) == 1 {
		if jobs[0].err = guard(jobs[0].fn, q); jobs[0].err != nil {
			return jobs[0].err
		}
		return w.exec("COMMIT")
	}
	for _, j := range jobs {
		if err := w.exec("SAVEPOINT job"); err != nil {
			return err
		}
		if j.err = guard(j.fn, q); j.err != nil {
			if err := w.exec("ROLLBACK TO job"); err != nil {
				return err
			}
		}
		if err := w.exec("RELEASE job"); err != nil {
			return err
		}
	}
	return w.exec("COMMIT")
}

// guard keeps a panic of one write from ending the writer, and with it the process of all.
func guard(fn func(querier) error, q querier) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write: panic: %v", p)
		}
	}()
	return fn(q)
}

// exec runs a statement of the writer's own.
func (w *sqliteWriter) exec(text string) error {
	_, err := w.static(text)
	return err
}

// static runs a statement that stays prepared for the life of the connection; for texts that are
// few and come often.
func (w *sqliteWriter) static(text string, args ...any) (sql.Result, error) {
	s, ok := w.prepared[text]
	if !ok {
		var err error
		if s, err = w.conn.PrepareContext(context.Background(), text); err != nil {
			return nil, err
		}
		w.prepared[text] = s
	}
	return s.ExecContext(context.Background(), args...)
}

// sqliteTx is the writer's transaction as a querier.
type sqliteTx struct{ w *sqliteWriter }

func (t sqliteTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.w.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
}

func (t sqliteTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.w.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
}

func (t sqliteTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.w.conn.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}
