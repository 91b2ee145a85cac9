// SQLite's commits with synchronous=FULL, by the driver that the product uses.

package limit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// SQLite commits transactions that insert and end batch tasks; the result is in tasks a second.
func SQLite(ctx context.Context, dir string, batch int, d time.Duration) (Rate, error) {
	sub, err := os.MkdirTemp(dir, "sqlite-")
	if err != nil {
		return Rate{}, fmt.Errorf("measure SQLite: %w", err)
	}
	defer os.RemoveAll(sub)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(sub, "limit.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return Rate{}, fmt.Errorf("measure SQLite: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"CREATE TABLE task(id INTEGER PRIMARY KEY, run INTEGER, name TEXT, state INTEGER, worker TEXT, t1 INTEGER, t2 INTEGER)",
		"CREATE INDEX task_state ON task(state) WHERE state<2",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return Rate{}, fmt.Errorf("measure SQLite: %w", err)
		}
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO task(run,name,state,worker,t1) VALUES(?,?,0,?,?)")
	if err != nil {
		return Rate{}, fmt.Errorf("measure SQLite: %w", err)
	}
	update, err := db.PrepareContext(ctx, "UPDATE task SET state=2,t2=? WHERE id=?")
	if err != nil {
		return Rate{}, fmt.Errorf("measure SQLite: %w", err)
	}
	r, err := loop(1, d, func(_, n int) (err error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, tx.Rollback())
			}
		}()
		ins, upd := tx.StmtContext(ctx, insert), tx.StmtContext(ctx, update)
		for range batch {
			res, err := ins.ExecContext(ctx, n, "step-with-a-name", "worker-1", 1700000000000+n)
			if err != nil {
				return fmt.Errorf("insert: %w", err)
			}
			id, _ := res.LastInsertId()
			if _, err := upd.ExecContext(ctx, 1700000000000+n, id); err != nil {
				return fmt.Errorf("update: %w", err)
			}
		}
		return tx.Commit()
	})
	r.PerSecond *= float64(batch)
	return r, err
}
