// Holders of a name: processes that take one in turns, as clients of the registry.

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"baton/internal/registry"
	"baton/internal/registry/etcd"
	"baton/internal/registry/sql"
	"baton/internal/registry/zookeeper"
	"baton/internal/store"
)

const lockVar = "BATON_CHAOS_LOCK"

// holder is what such a process is told.
type holder struct {
	Kind, Address, File string
	Number              int
	Lease               time.Duration
	Seed                uint64
}

// lockEvent is an acquire or the end of a hold, as its holder knows it. Times are since 1970.
type lockEvent struct {
	Client  int   `json:"client"`
	Acquire bool  `json:"acquire"`
	Fence   int64 `json:"fence"`
	Call    int64 `json:"call"`
	Return  int64 `json:"return"`
}

func (r *run) buildLocks() error {
	for i := range 3 {
		name := fmt.Sprintf("l%d", i+1)
		h := holder{r.opt.Registry, r.dsn(), filepath.Join(r.dir, name+".locks"), i + 1, r.opt.Lease, r.opt.Seed}
		if r.opt.Registry != registrySQL {
			h.Address = r.registry()
		}
		raw, err := json.Marshal(h)
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		if err := r.add(name, roleLock, func() *exec.Cmd {
			c := exec.Command(self)
			c.Env = []string{lockVar + "=" + string(raw)}
			return c
		}); err != nil {
			return err
		}
	}
	return nil
}

// hold is the main of a holder: it takes the name again and again until it is told to end.
func hold(raw string) error {
	var h holder
	if err := json.Unmarshal([]byte(raw), &h); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	reg, done, err := h.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	file, err := os.OpenFile(h.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	note := func(e lockEvent) {
		line, _ := json.Marshal(e)
		_, _ = file.Write(append(line, '\n')) // what is missing, the checker misses
	}
	var slept atomic.Int64 // when this process was last found to have been asleep
	go watchSleep(h.Lease/20, &slept)
	rng := rand.New(rand.NewPCG(h.Seed, uint64(h.Number)))
	for ctx.Err() == nil {
		call := now()
		l, err := reg.Acquire(ctx, "chaos", int64(h.Number), h.Lease)
		if err != nil {
			wait(ctx, 100*time.Millisecond)
			continue
		}
		got := now()
		note(lockEvent{h.Number, true, l.Fence(), call, got})
		select {
		case <-l.Lost():
		case <-time.After(time.Duration(rng.Int64N(int64(h.Lease / 4)))):
		}
		end := now()
		give, cancel := context.WithTimeout(context.Background(), h.Lease/8)
		_ = l.Release(give) // cut off it ends by itself
		cancel()
		wait(context.Background(), h.Lease/10) // long enough for watchSleep to notice
		if slept.Load() >= got {
			end = got // who slept cannot say when the hold ended
		}
		note(lockEvent{h.Number, false, l.Fence(), end, now()})
	}
	return nil
}

func now() int64 { return time.Now().UnixNano() }

// watchSleep notes when this process was kept from running.
func watchSleep(most time.Duration, slept *atomic.Int64) {
	tick := time.NewTicker(most / 4)
	defer tick.Stop()
	for last := now(); ; {
		<-tick.C
		at := now()
		if at-last > int64(most) {
			slept.Store(at)
		}
		last = at
	}
}

func (h holder) open(ctx context.Context) (reg registry.Registry, done func(), err error) {
	switch h.Kind {
	case registryEtcd:
		reg, err = etcd.Open(ctx, h.Address, quiet())
	case registryZooKeeper:
		reg, err = zookeeper.Open(ctx, h.Address, quiet())
	case registrySQL:
		db, err := store.Open(ctx, h.Address, store.Options{Lease: h.Lease})
		if err != nil {
			return nil, nil, err
		}
		reg, err = sql.Open(ctx, db.Registry(), quiet())
		if err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		return reg, func() { _, _ = reg.Close(), db.Close() }, nil
	default:
		err = fmt.Errorf("no registry %q", h.Kind)
	}
	if err != nil {
		return nil, nil, err
	}
	return reg, func() { _ = reg.Close() }, nil
}

// readLocks reads what the holders noted.
func (r *run) readLocks() ([]lockEvent, error) {
	var out []lockEvent
	for _, n := range r.role(roleLock) {
		raw, err := os.ReadFile(filepath.Join(r.dir, n.name+".locks"))
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
			var e lockEvent
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	return out, nil
}
