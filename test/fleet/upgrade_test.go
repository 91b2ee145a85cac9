package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

// role is a process of a cluster that is started again from another program in the same place.
type role struct {
	name string
	args []string
	log  string
	cmd  *exec.Cmd
}

func (r *role) start(t *testing.T, program string) {
	t.Helper()
	out, err := os.OpenFile(r.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.cmd = exec.Command(program, r.args...)
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Dir = out, out, filepath.Dir(r.log)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (r *role) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// leave asks it to end, which it has to do well.
func (r *role) leave(t *testing.T) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("%s: %v", r.name, err)
	}
}

// install puts a program in the place of another, as an upgrade does: the file that runs is not
// written into.
func install(t *testing.T, program, place string) {
	t.Helper()
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(place+".new", b, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(place+".new", place); err != nil {
		t.Fatal(err)
	}
}

// held is a workflow whose tasks wait for a gate, and tell a ledger when they begin and end.
const held = `
name: held
tasks:
%s  after: {type: shell, needs: [a, b, c], with: {script: "echo after $BATON_INSTANCE_ID >> %s"}}
`

// Every role is brought to another version as docs/deploy.md tells it, under runs that are in flight:
// no task is begun twice, none fails, and what is begun meanwhile ends.
func TestUpgradeOfACluster(t *testing.T) {
	t.Parallel()
	before, after := harness.BinaryBefore(t), harness.Binary(t)
	dsn := pgtest.Empty(t)
	s := harness.New(t)
	program, ledger, gate := filepath.Join(s.Dir, "baton"), filepath.Join(s.Dir, "ledger"), filepath.Join(s.Dir, "gate")
	install(t, before, program)
	if out, err := exec.Command(program, "migrate", "up", "--store", dsn).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, err := exec.Command(program, "admin", "token", "create", "--store", dsn).Output() // the new one would migrate
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(made))

	var roles []*role
	t.Cleanup(func() {
		for _, r := range roles {
			r.cmd.Process.Kill()
			r.cmd.Wait()
			if b, err := os.ReadFile(r.log); err == nil && t.Failed() {
				t.Logf("the log of %s:\n%s", r.name, b)
			}
		}
	})
	add := func(name string, args ...string) *role {
		r := &role{name: name, args: append(args, "--name", name, "--data", filepath.Join(s.Dir, name), "--log-format", "json"), log: filepath.Join(s.Dir, name+".log")}
		r.start(t, program)
		roles = append(roles, r)
		return r
	}
	store := []string{"--store", dsn, "--admin-listen", "127.0.0.1:0"}
	masters := []*role{}
	for _, name := range []string{"m1", "m2"} {
		masters = append(masters, add(name, append([]string{"master", "--rpc-listen", "127.0.0.1:0"}, store...)...))
	}
	apis := []*role{}
	for _, name := range []string{"a1", "a2"} {
		apis = append(apis, add(name, append([]string{"api", "--listen", "127.0.0.1:0"}, store...)...))
	}
	workers := []*role{}
	for _, name := range []string{"w1", "w2"} {
		workers = append(workers, add(name, append([]string{"worker", "--registry", "sql"}, store...)...))
	}
	url := harness.Said(t, apis[0].log, "ready", "url")
	baton := func(args ...string) string {
		t.Helper()
		return s.Must(t, append(args, "--server", url, "--token", token)...)
	}
	nodes := func(what string) (count int, versions map[string]int) {
		versions = map[string]int{}
		for _, n := range harness.Decode[harness.List[struct{ State, Version string }]](t, baton("get", what, "-o", "json")).Items {
			if n.State != "lost" {
				versions[n.Version]++
				count++
			}
		}
		return count, versions
	}
	all := func(what string) func() bool {
		return func() bool { n, _ := nodes(what); return n == 2 }
	}
	harness.Eventually(t, "two masters", all("masters"))
	harness.Eventually(t, "two workers", all("workers"))
	_, old := nodes("masters")

	var tasks strings.Builder
	for name := range strings.FieldsSeq("a b c") {
		fmt.Fprintf(&tasks, "  %s: {type: shell, with: {script: \"echo begin-%s $BATON_INSTANCE_ID >> %s; while [ ! -e %s ]; do sleep 0.05; done; echo end-%s $BATON_INSTANCE_ID >> %s\"}}\n",
			name, name, ledger, gate, name, ledger)
	}
	file := filepath.Join(s.Dir, "held.yaml")
	text := fmt.Sprintf(held, tasks.String(), ledger) + "---\nname: short\ntasks:\n  a: {type: shell, with: {script: 'echo hello'}}\n  b: {type: noop, needs: [a]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	baton("apply", "-f", file)
	const runs = 6
	ids := []string{}
	for range runs {
		ids = append(ids, harness.Decode[harness.Instance](t, baton("run", "held", "-o", "json")).ID)
	}
	lines := func() []string {
		b, _ := os.ReadFile(ledger)
		return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(b)), " ", "="))
	}
	harness.Eventually(t, "all have begun", func() bool { return len(lines()) == 3*runs })
	others := 0
	short := func() {
		t.Helper()
		others++
		got := harness.Decode[harness.Instance](t, baton("run", "short", "--wait", "-o", "json"))
		if got.State != "succeeded" || got.Task(t, "a").Attempt != 1 || got.Task(t, "b").Attempt != 1 {
			t.Errorf("a run that was begun during the upgrade is %s: %v", got.State, got.States())
		}
	}
	short()

	install(t, after, program)
	if out, err := exec.Command(program, "migrate", "up", "--store", dsn).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	short() // the old ones go on with the new schema
	for _, m := range masters {
		m.leave(t)
		short()
		m.start(t, program)
		harness.Said(t, m.log, "ready", "name")
		short()
	}
	for i, a := range apis {
		url = harness.Said(t, apis[1-i].log, "ready", "url") // the proxy's part
		a.leave(t)
		short()
		a.start(t, program)
		harness.Said(t, a.log, "ready", "url")
	}
	for _, w := range workers {
		w.signal(t, syscall.SIGHUP)
		short()
		w.signal(t, syscall.SIGUSR2)
		harness.Eventually(t, "the supervisor of "+w.name+" takes up the program", func() bool {
			b, _ := os.ReadFile(w.log)
			return strings.Contains(string(b), "taking up the program on disk")
		})
		short()
	}
	is := harness.Decode[struct{ Version string }](t, s.Must(t, "version", "-o", "json")).Version
	for _, what := range []string{"masters", "workers"} {
		harness.Eventually(t, "all "+what+" run the new version", func() bool {
			n, versions := nodes(what)
			return n == 2 && versions[is] == 2
		})
	}
	if old[is] != 0 {
		t.Errorf("the versions are the same: %v, %s", old, is)
	}

	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		baton("wait", id)
		got := harness.Decode[harness.Instance](t, baton("get", "instance", id, "-o", "json"))
		if got.State != "succeeded" {
			t.Errorf("run %s is %s: %v", id, got.State, got.States())
		}
		for _, row := range got.Tasks {
			if n := len(harness.Decode[harness.List[harness.Attempt]](t, baton("get", "attempts", id, row.Name, "-o", "json")).Items); n != 1 || row.Attempt != 1 {
				t.Errorf("task %s of run %s took %d attempts", row.Name, id, n)
			}
		}
	}
	seen := map[string]int{}
	for _, l := range lines() {
		if seen[l]++; seen[l] > 1 {
			t.Errorf("%s is twice in the ledger", l)
		}
	}
	if want := 7 * runs; len(seen) != want { // begin and end of three tasks, and the one after
		t.Errorf("%d lines in the ledger, want %d: %v", len(seen), want, seen)
	}
	t.Logf("%d runs in flight, %d begun meanwhile: version %v became %s", runs, others, old, is)
}
