package tasklog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/worker/tasklog"
)

// pipe returns a pipe as the supervisor makes them.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// writer pumps what is written into a log, until it is left in the middle of it.
type writer struct {
	t       *testing.T
	dir     string
	limit   int64
	secrets []string
	staging *os.File
	lines   []string
	log     *tasklog.Log
}

var lasting = tasklog.Key{Instance: 1, Task: 2, Token: 3}

func (w *writer) options() tasklog.Options {
	return tasklog.Options{Secrets: w.secrets, Staging: w.staging, Lasting: true, Line: func(line []byte, _ bool) { w.lines = append(w.lines, string(line)) }}
}

func (w *writer) begin() { w.log = tasklog.NewStore(w.dir, w.limit).Begin(lasting, w.options()) }

// resume goes on as another process does: nothing of the first one's memory is left.
func (w *writer) resume() {
	w.t.Helper()
	w.lines = nil
	w.log = tasklog.NewStore(w.dir, w.limit).Resume(lasting, w.options())
	if err := w.log.Recall(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) content() string {
	b, err := os.ReadFile(filepath.Join(w.dir, "1", "2", "3.log"))
	if err != nil {
		return ""
	}
	return string(b)
}

// some pumps what is in the pipe now.
func (w *writer) some(r *os.File) {
	r.SetReadDeadline(time.Unix(1, 0))
	w.log.Pump(r)
	r.SetReadDeadline(time.Time{})
}

func TestAnotherWriterGoesOnWithTheLog(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]string{"plain": nil, "masked": {"secret", "so secret that"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &writer{t: t, dir: t.TempDir(), limit: 1 << 20, secrets: secrets}
			if secrets != nil {
				var err error
				if w.staging, err = tasklog.NewStaging(); err != nil {
					t.Fatal(err)
				}
				defer w.staging.Close()
			}
			r, out := pipe(t)
			w.begin()
			text := "one\ntwo sec" // the beginning of a secret, kept back when there are secrets
			out.WriteString(text)
			w.some(r)
			rest := []string{"ret three\nso secret", " that\nfour", "\nfive so", " and so\nsix"}
			for i, piece := range rest {
				if i%2 == 0 {
					w.resume()
				}
				out.WriteString(piece)
				w.some(r)
				text += piece
			}
			w.resume()
			out.Close()
			w.log.Pump(r)
			w.log.Flush()
			want := text
			if secrets != nil {
				want = "one\ntwo *** three\n***\nfour\nfive so and so\nsix"
			}
			if got := w.content(); got != want {
				t.Errorf("log %q, want %q", got, want)
			}
			if got := strings.Join(w.lines, "\n"); got != want {
				t.Errorf("lines %q, want %q", got, want)
			}
			// The result is found out again: what was noted is not noted twice.
			w.log.Notef("it left %d behind", 2)
			w.log.Notef("it failed")
			noted := w.content()
			w.resume()
			w.log.Pump(r)
			w.log.Flush()
			w.log.Notef("it left %d behind", 2)
			w.log.Notef("it failed")
			if got := w.content(); got != noted || !strings.HasSuffix(got, "\n[baton] it left 2 behind\n[baton] it failed\n") {
				t.Errorf("log %q, was %q", got, noted)
			}
			if err := w.log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPumpKeepsToTheLimit(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, dir: t.TempDir(), limit: 100}
	r, out := pipe(t)
	w.begin()
	go func() {
		for i := range 1000 {
			fmt.Fprintf(out, "line %d\n", i)
		}
		out.Close()
	}()
	w.log.Pump(r)
	w.log.Flush()
	if got := w.content(); len(got) < 100 || len(got) > 250 || !strings.Contains(got, "reached its limit") {
		t.Errorf("log %q", got)
	}
	if len(w.lines) != 1000 {
		t.Errorf("%d lines were seen", len(w.lines))
	}
	full := w.content()
	w.resume()
	w.log.Pump(r)
	if got := w.content(); got != full {
		t.Errorf("log %q, was %q", got, full)
	}
}

// TestSecretsStayOutOfTheLogWhateverTheCut cuts a text at every place, with another writer after it.
func TestSecretsStayOutOfTheLogWhateverTheCut(t *testing.T) {
	t.Parallel()
	text := "aXYaXYZb XY"
	for cut := range len(text) {
		w := &writer{t: t, dir: t.TempDir(), limit: 1 << 20, secrets: []string{"XYZ", "aXYaX"}}
		staging, err := tasklog.NewStaging()
		if err != nil {
			t.Fatal(err)
		}
		w.staging = staging
		r, out := pipe(t)
		w.begin()
		out.WriteString(text[:cut])
		w.some(r)
		w.resume()
		out.WriteString(text[cut:])
		out.Close()
		w.log.Pump(r)
		w.log.Flush()
		if got, want := w.content(), string(tasklog.Mask([]byte(text), w.secrets)); got != want {
			t.Errorf("cut at %d: %q, want %q", cut, got, want)
		}
		staging.Close()
	}
}

// TestNotesBeforeTheSecrets: what the worker notes before the first output is not taken for output by whoever goes on.
func TestNotesBeforeTheSecrets(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, dir: t.TempDir(), limit: 1 << 20}
	w.begin()
	w.log.Notef("environment spark3, version %d", 4)
	staging, err := tasklog.NewStaging()
	if err != nil {
		t.Fatal(err)
	}
	defer staging.Close()
	w.secrets, w.staging = []string{"secret"}, staging
	w.log.Conceal(w.secrets, w.staging)
	w.resume()
	r, out := pipe(t)
	out.WriteString("the first secret\n")
	w.some(r)
	w.resume()
	out.WriteString("and on\n")
	out.Close()
	w.log.Pump(r)
	w.log.Flush()
	if got, want := w.content(), "[baton] environment spark3, version 4\nthe first ***\nand on\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

// TestStagingGivesMemoryBack: what is in the log is not kept in memory as well.
func TestStagingGivesMemoryBack(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, dir: t.TempDir(), limit: 64 << 20, secrets: []string{"secret"}}
	staging, err := tasklog.NewStaging()
	if err != nil {
		t.Fatal(err)
	}
	defer staging.Close()
	w.staging = staging
	r, out := pipe(t)
	w.begin()
	go func() {
		line := bytes.Repeat([]byte("x"), 1023)
		for range 8 << 10 {
			fmt.Fprintf(out, "%s\n", line)
		}
		out.Close()
	}()
	w.log.Pump(r)
	var st unix.Stat_t
	if err := unix.Fstat(int(staging.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if used := st.Blocks * 512; used > 1<<20 {
		t.Errorf("%d bytes of memory are kept of %d", used, st.Size)
	}
	if n := len(w.content()); n != 8<<20 {
		t.Errorf("the log has %d bytes", n)
	}
}
