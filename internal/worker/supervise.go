// The supervisor's process: the data folder is its own, the worker proper a limb of it.

package worker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"baton/internal/flow"
	"baton/internal/worker/supervisor"
)

// Programs tells the supervisor what to run as its worker proper, and in its own place.
type Programs struct {
	// Path is the file; it is asked each time.
	Path func() (string, error)
	// Proper and Self are the arguments, the name of the program included.
	Proper, Self []string
}

// Supervise runs the supervisor until ctx is cancelled and everything is over: what runs may go on
// for cfg.DrainFor, unless a word comes on hurry.
func Supervise(ctx context.Context, cfg Config, programs Programs, hurry <-chan struct{}, log *slog.Logger) error {
	cfg = cfg.Defaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	handed, err := supervisor.TakeOver()
	if err != nil {
		log.WarnContext(ctx, "starting anew from the journal: what ran is ended", slog.Any("error", err))
	}
	var lock *os.File
	if handed != nil {
		lock = handed.Lock
		err = makeData(&cfg)
		if err == nil && cfg.Home == "" {
			cfg.Home, err = homeOf(cfg.path("worker", "home"))
		}
	} else {
		lock, err = openData(&cfg)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	journal := &sharedJournal{path: cfg.path("worker", "journal"), running: map[int64]Record{}}
	host, err := supervisor.NewHost(supervisor.HostConfig{
		Home: cfg.Home, Journal: journal, Lock: lock, Log: log, Cgroups: !cfg.NoCgroups,
		Program: programs.Path, Proper: programs.Proper, Self: programs.Self,
		DrainFor: cfg.DrainFor, Hurry: hurry,
		StopWithin: cfg.StopGrace + stopAckWait + 3*time.Second, HangAfter: cfg.HangAfter,
	})
	if err != nil {
		return err
	}
	if handed != nil {
		if err := journal.open(); err != nil {
			return err
		}
		if err := host.Restore(handed); err != nil {
			return err
		}
	} else if journal.file, _, err = takeUp(ctx, cfg, host.Bury, log); err != nil {
		return err
	}
	err = host.Run(ctx)
	return errors.Join(err, journal.file.close())
}

// sharedJournal is the journal as the supervisor keeps it: records of the worker proper, which it
// does not read, and processes, which it notes itself. It is safe for concurrent use.
type sharedJournal struct {
	path string

	mu      sync.Mutex
	file    *journalFile
	running map[int64]Record // noted and not ended, so that Replace does not lose them
}

// open goes on with the journal of the program before this one.
func (j *sharedJournal) open() error {
	file, records, err := openJournal(j.path)
	if err != nil {
		return err
	}
	j.file = file
	for token, live := range Fold(records).Live {
		if live.Process != (supervisor.Identity{}) {
			j.running[token] = Record{Kind: RecordProcess, Token: token, Process: live.Process, At: live.At}
		}
	}
	return nil
}

func (j *sharedJournal) Contents() ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return os.ReadFile(j.path)
}

func (j *sharedJournal) Append(records []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.write(records)
}

func (j *sharedJournal) Replace(records []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, token := range sortedKeys(j.running) {
		records = appendRecord(records, j.running[token])
	}
	return j.file.replace(records)
}

func (j *sharedJournal) Sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.sync()
}

func (j *sharedJournal) Began(token int64, id supervisor.Identity, at time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := Record{Kind: RecordProcess, Token: token, Process: id, At: flow.At(at)}
	j.running[token] = r
	return j.file.append([]Record{r})
}

func (j *sharedJournal) Ended(tokens []int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, token := range tokens {
		delete(j.running, token)
	}
}
