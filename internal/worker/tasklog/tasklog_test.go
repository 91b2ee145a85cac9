package tasklog_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"baton/internal/worker/tasklog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = tasklog.Key{Instance: 1, Task: 2, Token: 3}

func read(t *testing.T, s *tasklog.Store) string {
	t.Helper()
	var out []byte
	for {
		p, err := s.Read(context.Background(), key, int64(len(out)), 1000, true)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.Data...)
		if p.End {
			return string(out)
		}
	}
}

func TestSecretsAreMaskedHoweverTheyAreSplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringMatching(`[ab]{1,5}`)
		secrets := rapid.SliceOfN(letters, 1, 3).Draw(t, "secrets")
		text := strings.Join(rapid.SliceOfN(rapid.OneOf(letters, rapid.SampledFrom(secrets), rapid.Just("c"), rapid.Just("\n")), 0, 12).Draw(t, "text"), "")
		whole := string(tasklog.Mask([]byte(text), secrets))
		for _, s := range secrets {
			if strings.Contains(whole, s) {
				t.Fatalf("%q is in %q", s, whole)
			}
		}
		dir, err := os.MkdirTemp("", "mask") //nolint:usetesting // rapid runs this body many times in one test
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l := tasklog.NewStore(dir, 1<<20).Begin(key, tasklog.Options{Secrets: secrets})
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			l.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		got, _ := os.ReadFile(filepath.Join(dir, "1", "2", "3.log"))
		if string(got) != whole {
			t.Fatalf("in pieces %q, whole %q", got, whole)
		}
	})
}

func TestLimit(t *testing.T) {
	t.Parallel()
	s := tasklog.NewStore(t.TempDir(), 1000)
	lines := 0
	l := s.Begin(key, tasklog.Options{Line: func([]byte, bool) { lines++ }})
	for range 100 {
		l.Write(bytes.Repeat([]byte("0123456789abcde\n"), 10))
	}
	l.Close()
	got := read(t, s)
	if !strings.HasPrefix(got[1000:], "\n[baton] the log ends here: it reached its limit of 1000 bytes") || len(got) > 1200 {
		t.Errorf("%d bytes, end %q", len(got), got[1000:])
	}
	if lines != 1000 {
		t.Errorf("%d lines were looked at: the limit is the log's only", lines)
	}
}

func TestLinesOfAnyLengthAndContent(t *testing.T) {
	t.Parallel()
	var got []string
	var cuts int
	l := tasklog.NewStore(t.TempDir(), 1<<30).Begin(key, tasklog.Options{Line: func(line []byte, cut bool) {
		got = append(got, string(line))
		if cut {
			cuts++
		}
	}})
	long := strings.Repeat("x", 10<<20)
	for _, p := range []string{"a", "b\nc\n", "\x00\xff\n", "\n", long[:5<<20], long[5<<20:] + "\nend"} {
		l.Write([]byte(p))
	}
	l.Close()
	want := []string{"ab", "c", "\x00\xff", "", long[:tasklog.MaxLine], "end"}
	if strings.Join(got, "|") != strings.Join(want, "|") || cuts != 1 {
		t.Errorf("%d lines, %d cut", len(got), cuts)
	}
}

func TestSilentAttemptHasNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := tasklog.NewStore(dir, 100)
	l := s.Begin(key, tasklog.Options{})
	if p, err := s.Read(context.Background(), key, 0, 10, false); err != nil || p.End || len(p.Data) > 0 {
		t.Errorf("while it runs: %v %v", p, err)
	}
	l.Close()
	if _, err := s.Read(context.Background(), key, 0, 10, false); !errors.Is(err, tasklog.ErrNotFound) {
		t.Errorf("after: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestFollowerHearsEverythingAndTheEnd(t *testing.T) {
	t.Parallel()
	s := tasklog.NewStore(t.TempDir(), 1<<20)
	l := s.Begin(key, tasklog.Options{})
	done := make(chan string)
	go func() { done <- read(t, s) }()
	for range 500 {
		l.Write([]byte("line\n"))
	}
	l.Close()
	if got := <-done; got != strings.Repeat("line\n", 500) {
		t.Errorf("heard %d bytes", len(got))
	}
}

func TestFollowerGoesWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	s := tasklog.NewStore(t.TempDir(), 1<<20)
	l := s.Begin(key, tasklog.Options{})
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := s.Read(ctx, key, 0, 10, true)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPruneKeepsWhatIsYoungOrWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := tasklog.NewStore(dir, 100)
	for token := int64(1); token <= 3; token++ {
		l := s.Begin(tasklog.Key{Instance: token, Task: 1, Token: token}, tasklog.Options{})
		l.Write([]byte("x"))
		if token < 3 {
			l.Close()
		}
	}
	old := time.Now().Add(-time.Hour)
	for _, p := range []string{"1/1/1.log", "3/1/3.log"} {
		if err := os.Chtimes(filepath.Join(dir, p), old, old); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.Prune(context.Background(), time.Now().Add(-time.Minute))
	if n != 1 || err != nil {
		t.Errorf("pruned %d: %v", n, err)
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}
