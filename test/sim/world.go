// World: virtual time, the seeded scheduler, the trace.

package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"

	"baton/internal/flow"
)

// World is one simulated history.
type World struct {
	now   flow.Time
	rng   *rand.Rand
	queue actions
	seq   uint64
	trace io.Writer // nil: only hashed
	sum   uint64
	steps int

	cfg       Config
	store     *Store
	ledger    *Ledger
	masters   []*masterHost
	workers   []*workerHost
	registry  *Registry
	storeDown bool
	storeSlow time.Duration // what a commit takes more
	balance   flow.Balance
	judged    int         // attempts that no fault excuses, see checkSecond
	fired     []*accepted // runs that schedules, backfills and triggers ordered
	born      []*accepted // runs that runs began
	known     map[flow.ID]bool
}

// Config of a history. Zero probabilities switch a fault off.
type Config struct {
	Seed      uint64
	Masters   int
	Workers   int
	Runs      int
	Starts    time.Duration // within which they are started
	Crash     float64       // of a process, each time it makes something durable
	Kills     int           // of the master, at some time
	Batch     float64       // of an event: the loop it is for is busy, and takes what comes meanwhile together
	Unknown   float64       // of a commit's outcome
	Break     float64       // of a connection, per frame
	PowerLoss float64       // of a worker crash: what was not synced is gone too
	Verbs     float64       // per run: a person interferes
	Poison    float64       // per run: the engine cannot drive it
	Deadly    float64       // per run: whoever begins it dies, or whoever reads it after it has begun
	Refuse    float64       // of a quarantine: the store does not write it now
	Strain    float64       // per measurement: memory is short
	Trouble   float64       // of a freeze, a cut or an outage, every few seconds
	Calm      time.Duration // no trouble after this, so that everything can end
	Schedules int           // that fire while runs are started
	Backfills int           // that people order while runs are started
	Triggers  int           // that wait for ends of runs
	Apart     bool          // the first worker and the first master never reach each other
	Until     time.Duration
	Mutant    Mutant
}

// Mutant is a fault planted into the product's surroundings that the checks must find.
type Mutant string

// Mutants.
const (
	NoMutant Mutant = ""
	// NoGate writes whatever the fence, the owner, Seq and the command say; test/mutants takes single
	// guards out of the product.
	NoGate           Mutant = "no-gate"
	NoToken          Mutant = "no-token"           // every attempt has the same token
	AckBeforePersist Mutant = "ack-before-persist" // a worker's results are acknowledged before the commit
	SendBeforeCommit Mutant = "send-before-commit" // grants leave before their commit
)

type action struct {
	at  flow.Time
	tie uint64
	do  func()
}

type actions []action

func (q actions) Len() int      { return len(q) }
func (q actions) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q actions) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].tie < q[j].tie
}
func (q *actions) Push(x any) { *q = append(*q, x.(action)) }
func (q *actions) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// start is 2026-01-01T00:00:00Z.
const start = flow.Time(1767225600 * 1_000_000)

func newWorld(cfg Config, trace io.Writer) *World {
	w := &World{now: start, rng: rand.New(rand.NewPCG(cfg.Seed, 0x5eed)), cfg: cfg, trace: trace, ledger: newLedger()}
	w.store = newStore(w)
	return w
}

// after does something later. Ties are broken by the seed, so that no order is taken for granted.
func (w *World) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, action{w.now.Add(max(d, time.Microsecond)), w.rng.Uint64()<<20 | w.seq&0xfffff, do})
}

// delay is a random duration of the given size, now and then ten times as long.
func (w *World) delay(d time.Duration) time.Duration {
	x := time.Duration(w.rng.ExpFloat64() * float64(d))
	if w.rng.IntN(50) == 0 {
		x *= 10
	}
	return x
}

// memory is the share in use of some machine, now and then more than there should be.
func (w *World) memory() float64 {
	if w.chance(w.cfg.Strain) {
		return 0.97
	}
	return 0.5
}

func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// log adds a line to the trace.
func (w *World) log(format string, args ...any) {
	line := fmt.Sprintf("%10.6f ", float64(w.now-start)/1e6) + fmt.Sprintf(format, args...) + "\n"
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d%s", w.sum, line) // a hash cannot fail
	w.sum = h.Sum64()
	if w.trace != nil {
		_, _ = io.WriteString(w.trace, line) // a lost trace fails the comparison
	}
}

// detail adds a line for people to a trace that is shown.
func (w *World) detail(format string, args ...any) {
	if w.trace != nil {
		_, _ = fmt.Fprintf(w.trace, "%10.6f   "+format+"\n", append([]any{float64(w.now-start) / 1e6}, args...)...)
	}
}

// run carries out actions until done says so or the time is over.
func (w *World) run(done func() bool) error {
	const most = 3_000_000
	end := w.now.Add(w.cfg.Until)
	for len(w.queue) > 0 {
		a := heap.Pop(&w.queue).(action)
		if a.at > end {
			return fmt.Errorf("not finished after %s of simulated time", w.cfg.Until)
		}
		w.now = a.at
		a.do()
		if w.steps++; w.steps > most {
			return fmt.Errorf("not finished after %d actions: something spins", most)
		}
		if w.steps%64 == 0 && done() {
			return nil
		}
	}
	if done() {
		return nil
	}
	return fmt.Errorf("nothing is left to happen, and it is not finished")
}

// box holds the events of a loop while that is busy.
type box[E any] struct {
	events []E
	busy   bool
}

// add returns what the loop takes now, unless it is busy; goOn is called when it no longer is.
func (b *box[E]) add(w *World, events []E, goOn func()) (batch []E, free bool) {
	if !b.busy && len(b.events) == 0 && w.chance(w.cfg.Batch) {
		b.busy = true
		w.after(w.delay(time.Millisecond), goOn)
	}
	if b.events = append(b.events, events...); b.busy {
		return nil, false
	}
	batch, b.events = b.events, nil
	return batch, true
}
