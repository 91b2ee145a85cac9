// Output that outlives its reader: whatever moment the reading process dies at, each byte is either
// still in the pipe or already in a file, never in the memory of the dead, and never in both.
//
// splice moves bytes from a pipe into a file within one call of the kernel. A log without secrets is
// such a file itself. Secrets must not reach it, so output that may hold some goes into a file in
// memory first, which the supervisor keeps open; beside it stands how much of it is in the log.

package tasklog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pumpSize is what a pipe holds.
const pumpSize = 64 << 10

// staging is a file of output on its way to the mask. Its first page says how far it has come.
type staging struct {
	f   *os.File
	pos int64 // everything before was masked and written
	end int64
	buf []byte
}

// stagingHead is the page with the progress.
const stagingHead = 4096

// NewStaging returns a file in memory for Options.Staging.
func NewStaging() (*os.File, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "output")
	if err := (&staging{f: f}).note(stagingHead, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// note writes how far it has come, in one write: everything before pos is in the log, which is then
// of this size.
func (s *staging) note(pos, size int64) error {
	var b [stagingHead]byte
	n := 16
	if s.end == 0 {
		n = stagingHead // a new one: what follows lies behind the page
	}
	binary.LittleEndian.PutUint64(b[:], uint64(pos))
	binary.LittleEndian.PutUint64(b[8:], uint64(size))
	_, err := s.f.WriteAt(b[:n], 0)
	return err
}

// open finds where it stands; it returns the size of the log then.
func (s *staging) open() (size int64, err error) {
	var b [16]byte
	if _, err := s.f.ReadAt(b[:], 0); err != nil {
		return 0, err
	}
	info, err := s.f.Stat()
	if err != nil {
		return 0, err
	}
	s.pos, s.end = int64(binary.LittleEndian.Uint64(b[:])), info.Size()
	return int64(binary.LittleEndian.Uint64(b[8:])), nil
}

// Recall looks through what the log holds already, so that Options.Line has seen every line.
func (l *Log) Recall() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 {
		if err := l.openFile(); err != nil {
			return err
		}
		if err := l.recallLines(); err != nil {
			return err
		}
	}
	if l.staging == nil {
		return nil
	}
	size, err := l.staging.open()
	if err != nil {
		return err
	}
	l.skip = max(0, l.size-size)
	l.drain()
	return nil
}

// notePrefix begins the lines of the worker's own.
const notePrefix = "[baton] "

func (l *Log) recallLines() error {
	buf := make([]byte, 256<<10)
	var last byte
	for at := int64(0); at < l.size; {
		n, err := l.file.ReadAt(buf[:min(int64(len(buf)), l.size-at)], at)
		if n == 0 {
			return err
		}
		if l.lines != nil {
			l.lines.write(buf[:n])
		}
		last = buf[n-1]
		at += int64(n)
	}
	l.open = last != '\n'
	return nil
}

// endsWith tells whether a note is among the last lines already.
func (l *Log) endsWith(note []byte) bool {
	note = bytes.TrimPrefix(note, []byte("\n"))
	if l.file == nil || !bytes.HasPrefix(note, []byte(notePrefix)) {
		return false
	}
	tail := make([]byte, min(l.size, pumpSize))
	n, err := l.file.ReadAt(tail, l.size-int64(len(tail)))
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return bytes.HasPrefix(tail[:n], note) || bytes.Contains(tail[:n], append([]byte("\n"), note...))
}

// Pump moves output from a pipe into the log until nobody can write to it any more, or its deadline
// is over.
func (l *Log) Pump(from *os.File) {
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 0)
	for {
		var end bool
		err := raw.Read(func(fd uintptr) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			var moved bool
			moved, end = l.pumpSome(int(fd), &buf)
			return moved || end
		})
		if err != nil {
			l.pumpRest(raw, &buf)
		}
		if end || err != nil {
			return
		}
	}
}

// pumpRest moves what is in the pipe when its deadline is over. Somebody who writes on and on does
// not hold it up for ever.
func (l *Log) pumpRest(raw syscall.RawConn, buf *[]byte) {
	raw.Control(func(fd uintptr) { //nolint:errcheck // closed: there is no rest
		l.mu.Lock()
		defer l.mu.Unlock()
		for range 16 {
			if moved, _ := l.pumpSome(int(fd), buf); !moved {
				return
			}
		}
	})
}

// pumpSome moves what is there; moved is false when there is nothing yet.
func (l *Log) pumpSome(fd int, buf *[]byte) (moved, end bool) {
	switch waiting, ended := look(fd); {
	case ended:
		return false, true
	case !waiting:
		return false, false
	}
	l.alive.Store(true)
	switch {
	case l.closed:
	case l.staging != nil:
		if l.pumpStaging(fd) {
			return true, false
		}
	case l.mask == nil && !l.full && l.missing == 0 && l.size < l.cap:
		if l.pumpFile(fd) {
			return true, false
		}
	}
	// Past its limit, on a full disk, or on a file system that cannot splice: by way of memory. What
	// is read and not yet written when this process dies is lost.
	if len(*buf) == 0 {
		*buf = make([]byte, pumpSize)
	}
	n, err := unix.Read(fd, *buf)
	if n > 0 && !l.closed {
		p := (*buf)[:n]
		if l.mask != nil {
			p = l.mask.mask(p)
		}
		l.put(p)
	}
	return n > 0 || errors.Is(err, unix.EINTR), n == 0 && err == nil
}

// look tells whether a pipe has something, or will never have.
func look(fd int) (waiting, ended bool) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 0); err != nil || n == 0 {
		return false, false
	}
	return p[0].Revents&unix.POLLIN != 0, p[0].Revents&unix.POLLIN == 0
}

// pumpFile moves output into the log's file; false: that is not possible now.
func (l *Log) pumpFile(fd int) bool {
	if l.openFile() != nil {
		return false
	}
	n := splice(fd, l.file, l.size, min(pumpSize, l.cap-l.size))
	if n <= 0 {
		return false
	}
	l.see(n)
	return true
}

// see takes note of what was moved behind the end of the file.
func (l *Log) see(n int64) {
	var last [1]byte
	at := l.size
	l.size += n
	if l.lines == nil {
		if _, err := l.file.ReadAt(last[:], l.size-1); err == nil {
			l.open = last[0] != '\n'
		}
		l.wake()
		return
	}
	buf := make([]byte, n)
	if m, err := l.file.ReadAt(buf, at); err == nil || errors.Is(err, io.EOF) && m > 0 {
		l.lines.write(buf[:m])
		l.open = buf[m-1] != '\n'
	}
	l.wake()
}

// pumpStaging moves output into the staging file, and what of it is ready into the log.
func (l *Log) pumpStaging(fd int) bool {
	s := l.staging
	if s.end == 0 {
		if _, err := s.open(); err != nil {
			return false
		}
	}
	n := splice(fd, s.f, s.end, pumpSize)
	if n <= 0 {
		return false
	}
	s.end += n
	l.drain()
	return true
}

// drain masks what is in the staging file and writes it.
func (l *Log) drain() {
	s := l.staging
	at := s.pos + int64(len(l.mask.tail))
	if len(s.buf) == 0 {
		s.buf = make([]byte, pumpSize)
	}
	for at < s.end {
		n, err := s.f.ReadAt(s.buf[:min(pumpSize, s.end-at)], at)
		if n == 0 && err != nil {
			return
		}
		at += int64(n)
		l.put(l.mask.mask(s.buf[:n]))
	}
	s.pos = at - int64(len(l.mask.tail))
	if s.note(s.pos, l.size-l.skip) != nil {
		return
	}
	// What is in the log is needed no more.
	if full := s.pos &^ (stagingHead - 1); full > stagingHead {
		hole(s.f, stagingHead, full-stagingHead)
	}
}

func hole(f *os.File, at, size int64) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck // memory that is not given back is all there is to lose
		unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, size) //nolint:errcheck // see above
	})
}

// splice moves up to n bytes from a pipe to a place in a file and tells how many.
func splice(fd int, to *os.File, at, n int64) int64 {
	raw, err := to.SyscallConn()
	if err != nil {
		return 0
	}
	var moved int64
	raw.Control(func(out uintptr) { //nolint:errcheck // then nothing was moved
		for {
			moved, err = unix.Splice(fd, nil, int(out), &at, int(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	return moved
}
