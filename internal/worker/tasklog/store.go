// The folder of logs: DATA/logs/<instance>/<task>/<token>.log.

package tasklog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Key names the log of an attempt.
type Key struct{ Instance, Task, Token int64 }

// ErrNotFound tells that there is no log: the attempt never was here, said nothing, or its log was
// pruned.
var ErrNotFound = errors.New("not_found")

// Store is the folder of logs. It is safe for concurrent use.
type Store struct {
	dir string
	cap int64

	mu   sync.Mutex
	live map[int64]*Log
}

// NewStore returns a store in dir whose logs hold at most limit bytes each.
func NewStore(dir string, limit int64) *Store {
	return &Store{dir: dir, cap: limit, live: map[int64]*Log{}}
}

// Begin returns the log of an attempt that begins.
func (s *Store) Begin(key Key, o Options) *Log {
	l := &Log{key: key, store: s, cap: s.cap, lasting: o.Lasting}
	l.Conceal(o.Secrets, o.Staging)
	if o.Line != nil {
		l.lines = &lines{each: o.Line}
	}
	s.mu.Lock()
	s.live[key.Token] = l
	s.mu.Unlock()
	return l
}

// Conceal masks secrets that were not known when the log began, before any output is written; notes may stand in it. See
// Options.Secrets and Options.Staging.
func (l *Log) Conceal(secrets []string, memory *os.File) {
	if len(secrets) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mask = newMasker(secrets)
	if memory != nil {
		l.staging = &staging{f: memory}
		if l.size > 0 {
			// Otherwise whoever goes on with the log takes the notes for output that was masked.
			l.staging.note(stagingHead, l.size) //nolint:errcheck // in memory, and it was written once
		}
	}
}

// Resume returns the log of an attempt that another process began. Recall must follow, before
// anything is written.
func (s *Store) Resume(key Key, o Options) *Log {
	o.Lasting = true
	l := s.Begin(key, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resumed = true
	if info, err := os.Stat(s.path(key)); err == nil {
		l.size = info.Size()
		l.full = l.size > l.cap
	}
	return l
}

func (s *Store) forget(token int64) {
	s.mu.Lock()
	delete(s.live, token)
	s.mu.Unlock()
}

func (s *Store) get(token int64) *Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[token]
}

func (s *Store) path(k Key) string {
	name := func(n int64) string { return strconv.FormatInt(n, 10) }
	return filepath.Join(s.dir, name(k.Instance), name(k.Task), name(k.Token)+".log")
}

// Part is a piece of a log. End: the attempt is over and nothing follows.
type Part struct {
	Offset int64
	Data   []byte
	End    bool
}

// Read returns up to limit bytes from offset. With wait it first waits until there is something
// or the attempt is over. An attempt that runs and said nothing has an empty log.
func (s *Store) Read(ctx context.Context, key Key, offset int64, limit int, wait bool) (Part, error) {
	if offset < 0 {
		return Part{}, fmt.Errorf("bad_request: offset %d is negative", offset)
	}
	for {
		ended := true
		var changed <-chan struct{}
		var size int64
		if l := s.get(key.Token); l != nil {
			size, ended, changed = l.status()
			if size <= offset && !ended {
				if !wait {
					return Part{Offset: offset}, nil
				}
				select {
				case <-changed:
					continue
				case <-ctx.Done():
					return Part{}, ctx.Err()
				}
			}
		}
		return s.readFile(key, offset, limit, ended)
	}
}

// readFile reads what is there. ended was asked before, so that End is not told too early.
func (s *Store) readFile(key Key, offset int64, limit int, ended bool) (Part, error) {
	f, err := os.Open(s.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return Part{}, ErrNotFound
	}
	if err != nil {
		return Part{}, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	buf := make([]byte, limit)
	n, err := f.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return Part{}, fmt.Errorf("read log: %w", err)
	}
	return Part{Offset: offset, Data: buf[:n], End: ended && errors.Is(err, io.EOF)}, nil
}

// Prune removes logs whose last byte is older than before, and folders that are empty then. It
// returns how many files went. Logs being written stay.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	var folders []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if d.IsDir() {
			if path != s.dir {
				folders = append(folders, path)
			}
			return ctx.Err()
		}
		info, err := d.Info()
		if err != nil || !info.ModTime().Before(before) || s.writing(d.Name()) {
			return nil //nolint:nilerr // gone meanwhile
		}
		if os.Remove(path) == nil { //nolint:gosec // the folder is this process's own
			removed++
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		os.Remove(folder) //nolint:errcheck // fails while something is in it, as it should
	}
	if err != nil {
		return removed, fmt.Errorf("prune logs: %w", err)
	}
	return removed, nil
}

func (s *Store) writing(name string) bool {
	token, err := strconv.ParseInt(name[:max(0, len(name)-len(".log"))], 10, 64)
	return err == nil && s.get(token) != nil
}
