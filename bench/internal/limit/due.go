// What is due, in Go: a timer each, and one goroutine that commits whatever has come meanwhile.

package limit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"baton/bench/internal/stat"
)

// Lateness is how long after they were due things were committed.
type Lateness struct{ P50, P99, Max time.Duration }

// Due has n timers end at once, so many times, a second apart; commit writes what has come down.
func Due(n, times int, commit func(due []int64) error) (Lateness, error) {
	var late []float64
	for range times {
		at := time.Now().Add(200 * time.Millisecond)
		if times > 1 {
			at = time.Now().Truncate(time.Second).Add(time.Second)
		}
		came := make(chan int64, n)
		for i := range n {
			time.AfterFunc(time.Until(at), func() { came <- int64(i) })
		}
		for left := n; left > 0; {
			batch := []int64{<-came}
			for more := true; more; {
				select {
				case i := <-came:
					batch = append(batch, i)
				default:
					more = false
				}
			}
			if err := commit(batch); err != nil {
				return Lateness{}, err
			}
			took := float64(time.Since(at))
			for range batch {
				late = append(late, took)
			}
			left -= len(batch)
		}
	}
	of := func(p float64) time.Duration { return time.Duration(stat.Percentile(late, p)) }
	return Lateness{of(0.5), of(0.99), of(1)}, nil
}

// DueSQLite is Due into SQLite with synchronous=FULL.
func DueSQLite(ctx context.Context, dir string, n, times int) (l Lateness, err error) {
	sub, err := os.MkdirTemp(dir, "due-")
	if err != nil {
		return l, fmt.Errorf("measure what is due: %w", err)
	}
	defer os.RemoveAll(sub)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(sub, "limit.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return l, fmt.Errorf("measure what is due: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "CREATE TABLE run(id INTEGER PRIMARY KEY, name TEXT, state INTEGER, due INTEGER)"); err != nil {
		return l, fmt.Errorf("measure what is due: %w", err)
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO run(name,state,due) VALUES(?,0,?)")
	if err != nil {
		return l, fmt.Errorf("measure what is due: %w", err)
	}
	return Due(n, times, func(due []int64) (err error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, tx.Rollback())
			}
		}()
		in := tx.StmtContext(ctx, insert)
		for _, i := range due {
			if _, err := in.ExecContext(ctx, "run-with-a-name", i); err != nil {
				return fmt.Errorf("insert: %w", err)
			}
		}
		return tx.Commit()
	})
}
