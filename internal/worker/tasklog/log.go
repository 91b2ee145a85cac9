// The log of one attempt while it is written.

package tasklog

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Log is the log of a running attempt. It is safe for concurrent use; its file is made with the
// first byte, so an attempt that says nothing costs no file.
type Log struct {
	key   Key
	store *Store
	cap   int64
	alive atomic.Bool // something was written since TakeAlive

	mu      sync.Mutex
	mask    *masker // nil: no secrets
	lines   *lines  // nil: nobody looks
	file    *os.File
	size    int64
	open    bool // its last line has no end yet
	full    bool
	err     error // the first one of the file; the attempt goes on
	missing int64 // bytes that the file did not take since it took some, with why
	why     error
	closed  bool
	changed chan struct{} // closed at the next change; nil when nobody waits

	// Of logs that outlive their writer:
	lasting bool
	resumed bool
	staging *staging // where output with secrets in it waits; nil without
	skip    int64    // bytes of what comes that the log has already
}

// Options of a Log.
type Options struct {
	// Secrets never appear in the log.
	Secrets []string
	// Line, if set, sees every line after masking, without its end; cut: it was longer. It must not
	// keep the slice.
	Line func(line []byte, cut bool)
	// Lasting: another process may go on with the log when this one dies. Then output comes by Pump.
	Lasting bool
	// Staging is a file in memory that outlives this process, for a lasting log with secrets.
	Staging *os.File
}

// Write appends p. It never fails: a task must not die of its log. What could not be written is
// told by Close.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive.Store(true)
	if l.closed {
		return len(p), nil
	}
	if l.mask != nil {
		l.put(l.mask.mask(p))
	} else {
		l.put(p)
	}
	return len(p), nil
}

// Notef writes a line of the worker's own.
func (l *Log) Notef(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if note := l.note(format, args...); !l.resumed || !l.endsWith(note) {
		l.append(note)
		l.wake()
	}
}

func (l *Log) put(p []byte) {
	if l.skip > 0 {
		known := min(l.skip, int64(len(p)))
		p, l.skip = p[known:], l.skip-known
	}
	if len(p) == 0 {
		return
	}
	if l.lines != nil {
		l.lines.write(p)
	}
	if l.full {
		return
	}
	if room := l.cap - l.size; int64(len(p)) > room {
		l.append(p[:room])
		l.full = true
		l.append(l.note("the log ends here: it reached its limit of %d bytes; the task goes on", l.cap))
	} else {
		l.append(p)
	}
	l.wake()
}

// note makes a line of the worker's own, which stands alone.
func (l *Log) note(format string, args ...any) []byte {
	text := fmt.Sprintf("[baton] "+format+"\n", args...)
	if l.open {
		text = "\n" + text
	}
	return []byte(text)
}

// append adds to the file, past every limit. What a full disk does not take is left out, with a
// line that says so where it is missing.
func (l *Log) append(p []byte) {
	if len(p) == 0 {
		return
	}
	if l.missing > 0 && !l.confess() {
		l.missing += int64(len(p))
		return
	}
	if n, err := l.writeFile(p); err != nil {
		l.missing, l.why = int64(len(p)-n), err
	}
}

// confess writes that something is missing; false: there is no room even for that.
func (l *Log) confess() bool {
	room := l.size
	n, err := l.writeFile(l.note("%d bytes are missing here: %v", l.missing, l.why))
	if err != nil {
		if n > 0 && l.file.Truncate(room) == nil { // half a line would be worse than none
			l.size = room
		}
		return false
	}
	l.missing = 0
	return true
}

func (l *Log) writeFile(p []byte) (n int, err error) {
	err = l.openFile()
	if err == nil {
		if l.lasting {
			n, err = l.file.WriteAt(p, l.size)
		} else {
			n, err = l.file.Write(p)
		}
		l.size += int64(n)
		if n > 0 {
			l.open = p[n-1] != '\n'
		}
	}
	if l.err == nil {
		l.err = err
	}
	return n, err
}

func (l *Log) openFile() (err error) {
	if l.file != nil {
		return nil
	}
	flags := os.O_APPEND
	if l.lasting {
		flags = 0 // splice writes at a place
	}
	l.file, err = create(l.store.path(l.key), flags)
	return err
}

func create(path string, flags int) (*os.File, error) {
	open := func() (*os.File, error) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o640) //nolint:gosec // the group of the service may read logs
	}
	f, err := open()
	for range 3 { // Prune may take an empty folder away between the two calls
		if !os.IsNotExist(err) {
			break
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, err
		}
		f, err = open()
	}
	return f, err
}

func (l *Log) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// TakeAlive tells whether something was written since the last call.
func (l *Log) TakeAlive() bool { return l.alive.Swap(false) }

// Alive marks a sign of life that is no output.
func (l *Log) Alive() { l.alive.Store(true) }

// Close ends the log: what was kept back is written, and those who follow see the end. The error
// is the first one that writing met.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	if l.mask != nil {
		l.put(l.mask.rest())
	}
	if l.lines != nil {
		l.lines.end()
	}
	if l.missing > 0 {
		l.confess()
	}
	l.closed = true
	l.wake()
	if l.file != nil {
		if err := l.file.Close(); l.err == nil {
			l.err = err
		}
	}
	l.store.forget(l.key.Token)
	if l.err != nil {
		return fmt.Errorf("write log of attempt %d: %w", l.key.Token, l.err)
	}
	return nil
}

// Flush gives the last line, though it has no end yet, to Options.Line. Nothing is written after.
func (l *Log) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mask != nil {
		l.put(l.mask.rest())
	}
	if l.lines != nil {
		l.lines.end()
	}
}

// status returns the size, whether the log is complete, and a channel that is closed when either
// changes.
func (l *Log) status() (size int64, ended bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil && !l.closed {
		l.changed = make(chan struct{})
	}
	return l.size, l.closed, l.changed
}
