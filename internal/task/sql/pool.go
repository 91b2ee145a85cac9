// Connections kept between attempts: a pool for each data source, closed when it was idle for a
// while.

package sql

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"baton/internal/flow"
)

// maxIdle is how many connections of a data source outlive their attempts. How many are in use at
// once is bounded by the slots of the worker.
const maxIdle = 4

type pools struct {
	idle time.Duration

	mu    sync.Mutex
	byKey map[poolKey]*pool
}

// poolKey stands for everything a connection depends on, the password included: a changed data
// source gets new connections.
type poolKey [sha256.Size]byte

type pool struct {
	db    *sql.DB
	users int
	timer *time.Timer // closes it; set while nobody uses it
}

func newPools(idle time.Duration) *pools {
	return &pools{idle: idle, byKey: map[poolKey]*pool{}}
}

// acquire returns the connections of a data source; release gives them back.
func (p *pools) acquire(d dialect, source *flow.DataSource, password string) (db *sql.DB, release func(), err error) {
	key, err := keyOf(source, password)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	held, ok := p.byKey[key]
	if !ok {
		db, err := d.open(source, password)
		if err != nil {
			return nil, nil, err
		}
		db.SetMaxIdleConns(maxIdle)
		db.SetConnMaxIdleTime(p.idle)
		db.SetConnMaxLifetime(30 * time.Minute)
		held = &pool{db: db}
		p.byKey[key] = held
	}
	held.users++
	if held.timer != nil {
		held.timer.Stop()
		held.timer = nil
	}
	return held.db, sync.OnceFunc(func() { p.release(key, held) }), nil
}

func (p *pools) release(key poolKey, held *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held.users--
	if held.users == 0 {
		held.timer = time.AfterFunc(p.idle, func() { p.close(key, held) })
	}
}

// close forgets a pool unless somebody took it up since the timer rang.
func (p *pools) close(key poolKey, held *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held.users > 0 || p.byKey[key] != held {
		return
	}
	delete(p.byKey, key)
	held.db.Close()
}

func (p *pools) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, held := range p.byKey {
		if held.users == 0 {
			held.timer.Stop()
			delete(p.byKey, key)
			held.db.Close()
		}
	}
}

func keyOf(source *flow.DataSource, password string) (poolKey, error) {
	b, err := json.Marshal(struct { //nolint:gosec // it is hashed and goes nowhere
		Source   *flow.DataSource
		Password string
	}{source, password})
	if err != nil {
		return poolKey{}, fmt.Errorf("data source: %w", err)
	}
	return sha256.Sum256(b), nil
}
