// The data folder: whose it is, and that only one process uses it.

package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/clock"
	"baton/internal/flow"
	"baton/internal/worker/supervisor"
	"baton/internal/worker/tasklog"
)

// openData makes what is missing of the folder and takes its lock. It completes cfg.
func openData(cfg *Config) (*os.File, error) {
	if err := makeData(cfg); err != nil {
		return nil, err
	}
	lock, err := lockFile(cfg.path("worker", "lock"))
	if err != nil {
		return nil, err
	}
	if cfg.Home == "" {
		if cfg.Home, err = homeOf(cfg.path("worker", "home")); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	return lock, nil
}

func makeData(cfg *Config) error {
	data, err := filepath.Abs(cfg.Data) // task processes have another working folder
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	cfg.Data = data
	for _, dir := range []string{"worker", "work", "logs", filepath.Join("cache", "blobs")} {
		if err := os.MkdirAll(cfg.path(dir), 0o750); err != nil {
			return fmt.Errorf("data folder: %w", err)
		}
	}
	return nil
}

func (c *Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.Data}, parts...)...)
}

// open prepares the parts of the shell.
func (w *Worker) open() {
	w.clock = clock.New()
	w.box = newMailbox[Event]()
	w.logs = tasklog.NewStore(w.path("logs"), w.cfg.LogLimit)
	w.blobs = newBlobs(w.path("cache", "blobs"))
	w.folders = &workdirs{dir: w.path("work")}
	w.reads = newLogReaders(w)
	w.runs, w.conns = map[int64]*run{}, map[StreamID]*conn{}
	w.wake = time.NewTimer(time.Hour)
	w.wake.Stop()
	w.machine.Measure()
}

// takeUp reads the journal and ends what survived the last start. Nobody is spoken to before.
func takeUp(ctx context.Context, cfg Config, bury func(context.Context, []supervisor.Identity) (int, error), log *slog.Logger) (*journalFile, State, error) {
	journal, records, err := openJournal(cfg.path("worker", "journal"))
	if err != nil {
		return nil, State{}, err
	}
	state := Fold(records)
	var named []supervisor.Identity
	for _, token := range sortedKeys(state.Live) {
		named = append(named, state.Live[token].Process)
	}
	n, err := bury(ctx, named)
	if err != nil {
		return nil, State{}, errors.Join(err, journal.close())
	}
	if n > 0 {
		log.WarnContext(ctx, "killed processes that an earlier start left running", slog.Int("count", n))
	}
	// First of all: that may be what the disk is full of.
	if err := clearWork(cfg.path("work"), nil); err != nil {
		return nil, State{}, errors.Join(err, journal.close())
	}
	state.Bury(flow.At(time.Now()))
	// Written whole: the journal is short now, and what it says is true before anybody hears it.
	if err := untilRoom(ctx, log, func() error { return journal.rewrite(state.Records()) }); err != nil {
		return nil, State{}, errors.Join(err, journal.close())
	}
	return journal, state, nil
}

const (
	roomAgain = time.Second      // between two tries on a full disk
	roomTold  = 10 * time.Second // and between two lines about it
)

// untilRoom tries until the disk is no longer full, or ctx is done: somebody is making room, and a process
// that ends because of it is only started again.
func untilRoom(ctx context.Context, log *slog.Logger, write func() error) error {
	var told time.Time
	for {
		err := write()
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			return err
		}
		if time.Since(told) >= roomTold {
			told = time.Now()
			log.WarnContext(ctx, "the disk is full: waiting for room, and trying again every second", slog.Any("error", err))
		}
		t := time.NewTimer(roomAgain)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

// lockFile takes a lock that ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, 32)
		n, _ := f.Read(holder) // what it says means nothing by itself
		f.Close()              // nothing was written
		by := "another process"
		if pid, err := strconv.Atoi(strings.TrimSpace(string(holder[:n]))); err == nil {
			by = fmt.Sprintf("process %d", pid)
		}
		return nil, fmt.Errorf("data folder %s is in use by %s: stop it, or choose another folder with --data", filepath.Dir(filepath.Dir(path)), by)
	}
	if err := f.Truncate(0); err == nil { // a full disk keeps nobody from the folder
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

// homeOf returns the identity of the folder and makes one for a new folder.
func homeOf(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("identity of the data folder: %w", err)
	}
	home := rand.Text()
	if err := os.WriteFile(path, []byte(home+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("identity of the data folder: %w", err)
	}
	return home, nil
}

// clearWork removes work folders that a start before left, but those of attempts that still run.
func clearWork(work string, running map[int64]Live) error {
	entries, err := os.ReadDir(work)
	if err != nil {
		return fmt.Errorf("clear work folders: %w", err)
	}
	for _, e := range entries {
		token, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSuffix(e.Name(), outputSuffix), setupSuffix), 10, 64)
		if _, runs := running[token]; err == nil && runs {
			continue
		}
		path := filepath.Join(work, e.Name())
		if os.RemoveAll(path) == nil {
			continue
		}
		openUp(path) // a task may have taken its own rights to a folder away
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("clear work folders: %w", err)
		}
	}
	return nil
}
