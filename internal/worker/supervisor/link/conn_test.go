package link_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"baton/internal/worker/supervisor/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pair(t *testing.T) (a, b *link.Conn) {
	t.Helper()
	fa, fb, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = link.Open(fa); err != nil {
		t.Fatal(err)
	}
	if b, err = link.Open(fb); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// file returns a file in memory that holds its number.
func file(t *testing.T, n int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(fd, fmt.Appendf(nil, "%d", n), 0); err != nil {
		t.Fatal(err)
	}
	return fd
}

func content(t *testing.T, fd int) string {
	t.Helper()
	f := os.NewFile(uintptr(fd), "test")
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMessagesComeInOrderWithTheirFiles(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	large := bytes.Repeat([]byte("x"), 3<<20)
	files := []int{0, 1, 0, 3, 600, 2, 0, 1}
	go func() {
		next := 0
		for i, n := range files {
			var fds []int
			for range n {
				fds = append(fds, file(t, next))
				next++
			}
			a.Send(&link.ToWorker{Body: &link.ToWorker_State{State: &link.State{Pid: int32(i), Journal: large[:i*400_000]}}}, fds...)
		}
	}()
	next := 0
	for i, n := range files {
		m := &link.ToWorker{}
		got, err := b.Receive(m)
		if err != nil {
			t.Fatal(err)
		}
		if s := m.GetState(); int(s.GetPid()) != i || len(s.GetJournal()) != i*400_000 || len(got) != n {
			t.Fatalf("message %d is %d with %d bytes and %d files", i, s.GetPid(), len(s.GetJournal()), len(got))
		}
		for _, fd := range got {
			if text := content(t, fd); text != fmt.Sprint(next) {
				t.Fatalf("file %d is %q", next, text)
			}
			next++
		}
	}
}

// TestInterruptLosesNothing: what was read in part goes on at another connection of the same socket.
func TestInterruptLosesNothing(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	body := bytes.Repeat([]byte("y"), 5<<20) // more than a socket holds
	a.Send(&link.ToWorker{Body: &link.ToWorker_State{State: &link.State{Journal: body}}}, file(t, 7))
	a.Send(&link.ToWorker{Body: &link.ToWorker_Ping{Ping: true}}, file(t, 8))
	interrupted := make(chan error, 1)
	go func() {
		_, err := b.Receive(&link.ToWorker{})
		for err == nil {
			_, err = b.Receive(&link.ToWorker{})
		}
		interrupted <- err
	}()
	b.Interrupt()
	if err := <-interrupted; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	f, err := b.File()
	if err != nil {
		t.Fatal(err)
	}
	c, err := link.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rest, fds := b.Rest()
	copies := make([]int, len(fds))
	for i, fd := range fds {
		if copies[i], err = unix.Dup(fd); err != nil {
			t.Fatal(err)
		}
	}
	c.Restore(rest, copies)
	a.Send(&link.ToWorker{Body: &link.ToWorker_Stop{Stop: true}})
	for {
		m := &link.ToWorker{}
		got, err := c.Receive(m)
		if err != nil {
			t.Fatal(err)
		}
		if s := m.GetState(); s != nil && (len(s.GetJournal()) != len(body) || len(got) != 1 || content(t, got[0]) != "7") {
			t.Fatalf("%d bytes, %d files", len(s.GetJournal()), len(got))
		}
		if m.GetPing() && (len(got) != 1 || content(t, got[0]) != "8") {
			t.Fatal("the second file is another")
		}
		if m.GetStop() {
			return
		}
	}
}

func TestClosedEndIsTold(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	a.Send(&link.ToWorker{Body: &link.ToWorker_Ping{Ping: true}})
	<-a.Flushed()
	a.Close()
	if _, err := b.Receive(&link.ToWorker{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Receive(&link.ToWorker{}); err == nil {
		t.Fatal("no error")
	}
	b.Send(&link.ToWorker{Body: &link.ToWorker_Ping{Ping: true}}, file(t, 1))
	<-b.Flushed()
}
