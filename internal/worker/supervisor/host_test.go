package supervisor_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/clock"
	"baton/internal/worker/supervisor"
)

// properArg makes the test program the worker proper of TestLeaseIsGuardedWhileTheDiskHangs.
const properArg = "test-proper"

// hangingJournal is one on a disk that hangs from the first write on. Like a real one it does one thing
// at a time.
type hangingJournal struct {
	hangs chan struct{} // closed when it does
	over  chan struct{}
}

func (j *hangingJournal) wait() {
	select {
	case <-j.hangs:
		<-j.over
	default:
	}
}

func (j *hangingJournal) Contents() ([]byte, error)                         { j.wait(); return nil, nil }
func (j *hangingJournal) Replace([]byte) error                              { j.wait(); return nil }
func (j *hangingJournal) Sync() error                                       { j.wait(); return nil }
func (j *hangingJournal) Began(int64, supervisor.Identity, time.Time) error { j.wait(); return nil }
func (j *hangingJournal) Ended([]int64)                                     { j.wait() }

func (j *hangingJournal) Append([]byte) error {
	select {
	case <-j.hangs:
	default:
		close(j.hangs)
	}
	j.wait()
	return nil
}

// proper starts a process before the disk hangs and one after, renews the lease once, and is silent.
func proper(dir string) {
	c, in, err := supervisor.Connect(os.NewFile(3, "link"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go c.Serve(supervisor.Callbacks{
		Appended: func(uint64, error) {}, Ping: c.Pong, Stop: c.Done, Drain: func() {}, Gone: func() { os.Exit(0) },
	})
	if !in.Same && in.Lost != "" {
		select {} // the one after the isolation
	}
	start := func(token int64, name string) {
		c.Start(supervisor.Spec{Token: token, Args: []string{"sh", "-c", "echo $$ > " + name + ".new; mv " + name + ".new " + name + "; exec sleep 300"}, Dir: dir}, nil, nil)
	}
	start(1, "before")
	c.Append(1, []byte("x"), true, false, nil)
	go start(2, "after")
	for {
		if _, err := os.Stat(filepath.Join(dir, "after")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.Lease(2*time.Second, clock.SinceBoot(), 0, false)
	select {}
}

func TestLeaseIsGuardedWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := &hangingJournal{hangs: make(chan struct{}), over: make(chan struct{})}
	h, err := supervisor.NewHost(supervisor.HostConfig{
		Home: "disk-" + strconv.Itoa(os.Getpid()), Journal: j, Log: slog.New(slog.DiscardHandler),
		Program: os.Executable, Proper: []string{os.Args[0], properArg, dir}, StopWithin: time.Second, HangAfter: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	pid := func(name string) int {
		until := time.Now().Add(time.Minute)
		for {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
				return n
			}
			if time.Now().After(until) {
				t.Fatalf("the process %s is not started", name)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	pids := map[string]int{"before": pid("before"), "after": pid("after")}
	until := time.Now().Add(time.Minute)
	for name, pid := range pids {
		for unix.Kill(pid, 0) == nil {
			if time.Now().After(until) {
				t.Fatalf("the process that was started %s the disk hung outlives the lease", name)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	close(j.over)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
