package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFindCgroup(t *testing.T) {
	t.Parallel()
	const (
		unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		hybrid  = "29 23 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n30 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n31 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		old     = "31 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	)
	tests := []struct {
		name, mounts, self string
		root               bool
		want, why          string
	}{
		{"a service's own", unified, "0::/system.slice/baton.service\n", false, "/sys/fs/cgroup/system.slice/baton.service", ""},
		{"in a subgroup", unified, "0::/system.slice/baton.service/baton-supervisor\n", false, "/sys/fs/cgroup/system.slice/baton.service", ""},
		{"a container", unified, "0::/\n", true, "/sys/fs/cgroup", ""},
		{"beside version 1", hybrid, "4:memory:/a\n0::/\n", true, "/sys/fs/cgroup/unified", ""},
		{"not delegated to root", unified, "0::/no/such/cgroup\n", true, "", "not delegated"},
		{"version 1 alone", old, "4:memory:/a\n", true, "", "no cgroup of version 2"},
		{"outside its namespace", unified, "0::/../other\n", false, "", "in no cgroup"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base, why := findCgroup([]byte(tt.mounts), []byte(tt.self), tt.root)
			if base != tt.want || !strings.Contains(why, tt.why) || (base == "") == (why == "") {
				t.Errorf("got %q, %q", base, why)
			}
		})
	}
}

// fakeCgroup is a folder that looks like a cgroup of an attempt.
func fakeCgroup(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUsageOfACgroup(t *testing.T) {
	t.Parallel()
	dir := fakeCgroup(t, map[string]string{
		"cgroup.events": "populated 1\nfrozen 0\n", "cgroup.procs": "12\n345\n", "cgroup.kill": "",
		"cpu.stat": "usage_usec 1500000\nuser_usec 1\n", "memory.peak": "1048576\n",
	})
	c, err := openCgroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.base = 500 * time.Millisecond
	if got, want := c.usage(), (Usage{CPU: time.Second, Memory: 1 << 20}); got != want {
		t.Errorf("usage %+v, want %+v", got, want)
	}
	if pids := c.pids(); !c.populated() || len(pids) != 2 || pids[1] != 345 {
		t.Errorf("populated %v, %v", c.populated(), pids)
	}
	c.kill()
	if b, _ := os.ReadFile(filepath.Join(dir, "cgroup.kill")); string(b) != "1" {
		t.Errorf("cgroup.kill has %q", b)
	}
}

func TestCgroupWithoutControllers(t *testing.T) {
	t.Parallel()
	c, err := openCgroup(fakeCgroup(t, map[string]string{"cgroup.events": "populated 0\n"}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if c.usage() != (Usage{}) || c.populated() {
		t.Errorf("usage %+v", c.usage())
	}
	if _, err := openCgroup(t.TempDir()); err == nil {
		t.Error("an ordinary folder is taken for a cgroup")
	}
}

// TestAttemptInItsCgroup runs where the host has cgroups for us; elsewhere it sees that why is said.
func TestAttemptInItsCgroup(t *testing.T) {
	home := "test-cgroup-" + time.Now().Format("150405.000000")
	s, err := New(home)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir, why := s.UseCgroups()
	if dir == "" {
		if why == "" {
			t.Error("no cgroups, and no reason")
		}
		return
	}
	run := func(script string) (Exit, Usage) {
		p, err := s.Start(Spec{Token: 1, Args: []string{"/bin/sh", "-c", script}, Dir: t.TempDir(), Output: discard{}})
		if err != nil {
			t.Fatal(err)
		}
		return p.Wait(), p.Usage()
	}
	// A daemon that nothing else would find: no marks, no session, no group, no parent, and another
	// attempt that might have made it.
	other, err := s.Start(Spec{Token: 2, Args: []string{"/bin/sh", "-c", "sleep 1000"}, Dir: t.TempDir(), Output: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	exit, _ := run("(setsid env -i sleep 1000 </dev/null >/dev/null 2>&1 &) ; sleep 0.1")
	if exit.LeftBehind != 1 {
		t.Errorf("got %+v", exit)
	}
	if _, used := run("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"); used.CPU < 5*time.Millisecond || used.CPU > 5*time.Second {
		t.Errorf("used %+v", used)
	}
	if _, used := run("head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null"); used.Memory < 150<<20 || used.Memory > 400<<20 {
		t.Errorf("used %+v", used)
	}
	for _, c := range s.groups.free { // somebody tidies up behind our back
		removeCgroup(c.path)
	}
	if exit, _ := run("exit 5"); exit.Code != 5 {
		t.Errorf("got %+v", exit)
	}
	if exit, used := run("exit 3"); exit.Code != 3 || used.CPU > time.Second {
		t.Errorf("got %+v, used %+v", exit, used)
	}
	// Another start of the same home buries what is there.
	next, err := New(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, why := next.UseCgroups(); why != "" {
		t.Fatal(why)
	}
	if n, err := next.Bury(t.Context(), nil); n < 1 || err != nil {
		t.Errorf("buried %d: %v", n, err)
	}
	if exit := other.Wait(); exit.Signal != unix.SIGKILL {
		t.Errorf("got %+v", exit)
	}
	s.Close()
	next.Close()
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("cgroup %s is left", dir)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
