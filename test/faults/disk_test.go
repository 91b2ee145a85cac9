package faults

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"baton/test/harness"
)

// smallDisk mounts a file system of some size where the server's data will be.
func smallDisk(t *testing.T, s *harness.Server, size string) string {
	t.Helper()
	disk := filepath.Join(s.Dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size="+size); errors.Is(err, unix.EPERM) {
		t.Skip("mounting a small disk needs root")
	} else if err != nil {
		t.Fatal(err)
	}
	// The server is ended by a cleanup that is registered later, so it comes before this one.
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s.Data = filepath.Join(disk, "data")
	s.Env = append(s.Env, "BATON_OVERLOAD_DISK=0") // it is small, and full on purpose
	return disk
}

// fill takes all room and returns what gives it back.
func fill(t *testing.T, disk string) (free func()) {
	t.Helper()
	path := filepath.Join(disk, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, piece := range []int64{64 << 10, 1} {
		zeros := make([]byte, piece)
		for err == nil {
			_, err = f.Write(zeros)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	disk := smallDisk(t, s, "32m")
	s.Start(t)
	signal := filepath.Join(s.Dir, "go")
	s.Apply(t, `
name: slow
params: {go: ""}
tasks:
  a: {run: "echo begin; while [ ! -e \"$go\" ]; do sleep 0.05; done; echo middle; while [ ! -e \"$go.on\" ]; do sleep 0.05; done; echo end"}
  b: {needs: [a], run: "echo b"}
---
name: small
tasks: {a: {run: echo small}}
`)
	var ids []string
	for range 3 {
		ids = append(ids, s.Begin(t, "slow", "-p", "go="+signal).ID)
	}
	for _, id := range ids {
		harness.Eventually(t, "the task runs", func() bool { return s.Baton(t, "logs", id, "a").Stdout == "begin\n" })
	}

	free := fill(t, disk)
	// There may be room left in what the store had taken before: use it up.
	accepted := 0
	harness.Eventually(t, "a start is refused", func() bool {
		r := s.Baton(t, "run", "small", "-o", "name")
		if r.Code == 0 {
			accepted++
		}
		return r.Code != 0
	})
	full := fault{1, "unavailable", []string{"disk of the store is full", "make room"}}
	refused(t, s, full, "run", "small")
	refused(t, s, full, "stop", ids[0])
	write(t, s, "go", "") // the tasks print into a full disk, and
	for _, id := range ids {
		if run := s.Instance(t, id); run.State != "running" {
			t.Errorf("run %s is %s (%s) while the disk is full", id, run.State, run.Reason)
		}
	}
	harness.Eventually(t, "the server's log tells of it", func() bool {
		raw, err := os.ReadFile(s.LogFile())
		return err == nil && strings.Contains(string(raw), "disk of the store is full")
	})
	select {
	case <-s.Died():
		t.Fatal("the server died of a full disk")
	default:
	}

	free()
	write(t, s, "go.on", "")
	for _, id := range ids {
		run := until(t, s, id, "succeeded")
		if a := run.Task(t, "a"); a.Attempt != 1 {
			t.Errorf("a began %d times", a.Attempt)
		}
		if log := s.Logs(t, id, "a"); !strings.HasPrefix(log, "begin\n") || !strings.HasSuffix(log, "end\n") {
			t.Errorf("log: %q", log)
		}
	}
	list := harness.Decode[harness.List[harness.Instance]](t, s.Must(t, "get", "instances", "--workflow", "small", "-o", "json", "--limit", "500"))
	if len(list.Items) != accepted {
		t.Errorf("%d starts were accepted, %d runs exist", accepted, len(list.Items))
	}
	for _, run := range list.Items {
		until(t, s, run.ID, "succeeded")
	}
	healthy(t, s)
}

// A task that fills the disk with its log is told so in it, and the store recovers.
func TestLogFillsTheDisk(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	smallDisk(t, s, "16m")
	s.Start(t)
	s.Apply(t, `
name: flood
params: {go: ""}
tasks: {a: {run: "head -c 40000000 /dev/zero | tr '\\000' y; touch \"$go.flooded\"; while [ ! -e \"$go\" ]; do sleep 0.05; done; echo after"}}
`)
	run := s.Begin(t, "flood", "-p", "go="+filepath.Join(s.Dir, "go"))
	var log string
	harness.Eventually(t, "the disk is full", func() bool {
		if _, err := os.Stat(filepath.Join(s.Dir, "go.flooded")); err != nil {
			return false
		}
		found, err := filepath.Glob(filepath.Join(s.Data, "logs", run.ID, "*", "*.log"))
		if err != nil || len(found) == 0 {
			return false
		}
		log = found[0]
		var st unix.Statfs_t
		return unix.Statfs(s.Data, &st) == nil && st.Bavail == 0
	})
	// An administrator makes room as administrators do.
	if err := os.Truncate(log, 1<<20); err != nil {
		t.Fatal(err)
	}
	write(t, s, "go", "")
	if run := until(t, s, run.ID, "succeeded"); run.Task(t, "a").Attempt != 1 {
		t.Errorf("attempts: %d", run.Task(t, "a").Attempt)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if text := string(raw); err != nil || !strings.Contains(text, " bytes are missing here: ") || !strings.HasSuffix(text, "\nafter\n") {
		t.Errorf("%v: the log ends with %q", err, text[max(0, len(text)-200):])
	}
	healthy(t, s)
}

func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	smallDisk(t, s, "16m")
	s.Start(t)
	healthy(t, s)
	s.Stop(t)
	disk := filepath.Dir(s.Data)
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	refused(t, s, fault{1, "unavailable", []string{s.Data, "read-only file system", "--data"}}, "standalone", "--listen", "127.0.0.1:0")
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	healthy(t, s)
}
