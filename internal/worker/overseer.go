// The supervisor as the worker sees it: in its own process, or as its parent.

package worker

import (
	"time"

	"baton/internal/flow"
	"baton/internal/worker/supervisor"
)

// overseer is what the worker has from its supervisor: the journal, and the processes.
type overseer interface {
	// persist carries a Persist out; Persisted answers it.
	persist(Persist)
	// start starts the process of an attempt, whose output goes to its log.
	start(*run, supervisor.Spec) (process, error)
	guard(Guard)
	// pong answers a ping.
	pong()
	// sweep is called now and then.
	sweep()
}

// process is the main process of an attempt and all that came of it.
type process interface {
	Identity() supervisor.Identity
	Kill(grace time.Duration) bool
	// Wait returns when nothing is left and the output is in the log.
	Wait() supervisor.Exit
	Usage() supervisor.Usage
}

// ownSupervisor is the supervisor in the worker's process: standalone. Its processes and its memory
// end with it, so there is nothing to guard and nothing to hand on.
type ownSupervisor struct {
	w        *Worker
	sup      *supervisor.Supervisor
	journal  *journalFile
	persists *mailbox[Persist]
	diskDone chan struct{}
}

func newOwnSupervisor(w *Worker, sup *supervisor.Supervisor, journal *journalFile) *ownSupervisor {
	return &ownSupervisor{w: w, sup: sup, journal: journal, persists: newMailbox[Persist](), diskDone: make(chan struct{})}
}

func (o *ownSupervisor) persist(p Persist) { o.persists.put(p) }

func (o *ownSupervisor) start(r *run, spec supervisor.Spec) (process, error) {
	spec.Output = r.log
	p, err := o.sup.Start(spec)
	if err != nil {
		return nil, err
	}
	r.began = flow.At(time.Now())
	return p, nil
}

func (o *ownSupervisor) guard(Guard) {}

func (o *ownSupervisor) pong() {}

func (o *ownSupervisor) sweep() { o.sup.Sweep() }

func (o *ownSupervisor) close() error {
	o.persists.close()
	<-o.diskDone
	return o.journal.close()
}
