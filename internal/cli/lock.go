// One process for one data folder.

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
)

const (
	lockGap = 10 * time.Millisecond
	// lockPatience bounds the wait for what a dead process left behind: a child that it was just
	// starting has the lock too, until it has become another program.
	lockPatience = 5 * time.Second
)

// lockFolder holds the folder until the file is closed or the process is gone.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	for until := time.Now().Add(lockPatience); ; {
		f, holder, err := tryLock(dir)
		if f != nil || err != nil {
			return f, err
		}
		if holder != 0 && !errors.Is(unix.Kill(holder, 0), unix.ESRCH) || time.Now().After(until) {
			return nil, flow.Errorf(flow.CodeConflict, "data", "process %d already serves the data folder %s; stop it, or choose another folder with --data", holder, dir)
		}
		select {
		case <-time.After(lockGap):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryLock takes the lock, or tells who has it. The file names the process; its content means
// nothing without the lock.
func tryLock(dir string) (f *os.File, holder int, err error) {
	path := filepath.Join(dir, lockFile)
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		name := make([]byte, 32)
		n, _ := f.Read(name)
		f.Close()
		holder, _ = strconv.Atoi(strings.TrimSpace(string(name[:n]))) // 0: it is just being written
		return nil, holder, nil
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("write lock: %w", err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("write lock: %w", err)
	}
	return f, 0, nil
}
