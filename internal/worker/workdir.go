// Work folders, made once and used again.
//
// A file system that avoids freshly deleted inodes (ext4 does for five seconds) makes each mkdir
// of a mkdir-rmdir cycle search past all of them: at a thousand attempts a second a folder then
// costs more than the process in it. So an empty folder goes back to a pool, and the next attempt
// renames it, which allocates nothing.

package worker

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const workMode = 0o750

// workdirs are the folders of attempts. It is safe for concurrent use.
type workdirs struct {
	dir string

	mu   sync.Mutex
	free []string
	made int
}

// mostFree bounds the pool: no more attempts than that begin at the same moment.
const mostFree = 64

// take makes an empty folder at path.
func (d *workdirs) take(path string) error {
	d.mu.Lock()
	var spare string
	if n := len(d.free); n > 0 {
		spare = d.free[n-1]
		d.free = d.free[:n-1]
	}
	d.mu.Unlock()
	if spare != "" && unix.Rename(spare, path) == nil {
		return nil
	}
	return os.Mkdir(path, workMode)
}

// give takes the folder back, with whatever is in it.
func (d *workdirs) give(path string) {
	if untouched(path) {
		d.mu.Lock()
		keep := len(d.free) < mostFree
		d.made++
		spare := filepath.Join(d.dir, ".free-"+strconv.Itoa(d.made))
		d.mu.Unlock()
		if keep && unix.Rename(path, spare) == nil {
			d.mu.Lock()
			d.free = append(d.free, spare)
			d.mu.Unlock()
			return
		}
	}
	if os.RemoveAll(path) != nil {
		openUp(path)       // a task may have taken its own rights to a folder away
		os.RemoveAll(path) //nolint:errcheck // cleared at the next start at the latest
	}
}

// untouched tells whether a folder is as it was made: empty, with the rights and owner of a new
// one.
func untouched(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&^workMode != 0 || info.Mode().Perm()&0o700 != 0o700 {
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() {
		return false
	}
	_, err = f.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

func openUp(dir string) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error { //nolint:errcheck // best effort
		if d != nil && d.IsDir() {
			os.Chmod(path, 0o700) //nolint:errcheck,gosec // best effort
		}
		return nil
	})
}
