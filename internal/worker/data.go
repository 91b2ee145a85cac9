// The data folder: whose it is, and that only one process uses it.

package worker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/clock"
	"baton/internal/worker/tasklog"
)

// openData makes what is missing, takes the lock and prepares the parts of the shell.
func (w *Worker) openData() (*os.File, error) {
	data, err := filepath.Abs(w.cfg.Data) // task processes have another working folder
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	w.cfg.Data = data
	for _, dir := range []string{"worker", "work", "logs", filepath.Join("cache", "blobs")} {
		if err := os.MkdirAll(w.path(dir), 0o750); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
	}
	lock, err := lockFile(w.path("worker", "lock"))
	if err != nil {
		return nil, err
	}
	if w.cfg.Home == "" {
		if w.cfg.Home, err = homeOf(w.path("worker", "home")); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	w.clock = clock.New()
	w.box, w.persists, w.diskDone = newMailbox[Event](), newMailbox[Persist](), make(chan struct{})
	w.logs = tasklog.NewStore(w.path("logs"), w.cfg.LogLimit)
	w.blobs = newBlobs(w.path("cache", "blobs"))
	w.work = &workdirs{dir: w.path("work")}
	w.reads = newLogReaders(w)
	w.runs, w.conns = map[int64]*run{}, map[StreamID]*conn{}
	w.wake = time.NewTimer(time.Hour)
	w.wake.Stop()
	w.machine.measure()
	return lock, nil
}

// lockFile takes a lock that ends with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close() // nothing was written
		return nil, fmt.Errorf("data folder %s is in use by another process: stop it, or choose another folder", filepath.Dir(filepath.Dir(path)))
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

// clearWork removes work folders that a start before left. Nothing runs in them any more.
func (w *Worker) clearWork() error {
	entries, err := os.ReadDir(w.path("work"))
	if err != nil {
		return fmt.Errorf("clear work folders: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(w.path("work", e.Name())); err != nil {
			return fmt.Errorf("clear work folders: %w", err)
		}
	}
	return nil
}
