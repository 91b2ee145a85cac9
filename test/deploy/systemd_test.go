// The units, by systemd-analyze, and the files of settings, by the program that reads them.

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// unit is a unit file: the values of a key in order, sections left out: no key is in two of them.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	u := unit{}
	for line := range strings.Lines(read(t, filepath.Join(units, name))) {
		line = strings.TrimSpace(line)
		if key, value, found := strings.Cut(line, "="); found && line[0] != '#' {
			u[key] = append(u[key], value)
		}
	}
	return u
}

func (u unit) get(key string) string { return strings.Join(u[key], " ") }

// services are the units, the files of settings that they read when %i is default, and those who run
// tasks.
var services = []struct {
	unit, settings, role string
	tasks                bool
}{
	{"baton-standalone.service", "standalone.yaml", "standalone", true},
	{"baton-master.service", "master.yaml", "master", false},
	{"baton-api.service", "api.yaml", "api", false},
	{"baton-worker@.service", "worker-default.yaml", "worker", true},
}

func TestEveryUnitIsKnownHere(t *testing.T) {
	t.Parallel()
	for pattern, known := range map[string]func(int) string{
		"*.service": func(i int) string { return services[i].unit }, "*.yaml": func(i int) string { return services[i].settings },
	} {
		found, err := filepath.Glob(filepath.Join(units, pattern))
		if err != nil || len(found) != len(services) {
			t.Errorf("%s: %v, %v", pattern, found, err)
		}
		for i := range services {
			if !slices.Contains(found, filepath.Join(units, known(i))) {
				t.Errorf("%s is not there", known(i))
			}
		}
	}
}

func TestSystemdVerifiesUnits(t *testing.T) {
	t.Parallel()
	for _, dropIn := range []bool{false, true} {
		dir := t.TempDir()
		var files []string
		for _, s := range services {
			text := strings.ReplaceAll(read(t, filepath.Join(units, s.unit)), "/usr/local/bin/baton", program)
			path := filepath.Join(dir, s.unit)
			write(t, path, text)
			if dropIn && s.tasks {
				write(t, filepath.Join(path+".d", "hardened.conf"), read(t, filepath.Join(units, "hardened.conf")))
			}
			files = append(files, path)
		}
		cmd := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, files...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze verify: %v (`make deps` installs it)\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			// Known since 254; older ones ignore it, and say so. Lines of units that are not ours belong
			// to this machine.
			if strings.Contains(line, dir) && !strings.Contains(line, "DelegateSubgroup") {
				t.Errorf("%s", line)
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSystemdMakesUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc/passwd"), "")
	conf, err := filepath.Abs(filepath.Join(units, "baton.sysusers.conf"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-sysusers", "--root="+dir, "--dry-run", conf).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-sysusers: %v\n%s", err, out)
	}
	made := read(t, filepath.Join(units, "baton.sysusers.conf"))
	for _, s := range services {
		if user := readUnit(t, s.unit).get("User"); !regexp.MustCompile(`(?m)^u ` + user + ` `).MatchString(made) {
			t.Errorf("%s: nobody makes its user %s", s.unit, user)
		}
	}
}

func TestUnitsStartTheProgram(t *testing.T) {
	t.Parallel()
	for _, s := range services {
		u := readUnit(t, s.unit)
		args := strings.Fields(strings.ReplaceAll(u.get("ExecStart"), "%i", "default"))
		if args[0] != "/usr/local/bin/baton" {
			t.Errorf("%s starts %s", s.unit, args[0])
		}
		said := invocation{where: s.unit, args: args[1:]}
		if said.command() != s.role {
			t.Errorf("%s runs %q", s.unit, said.command())
		}
		known := flags(t, s.role)
		for name, value := range said.settings(t) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: baton %s has no --%s", s.unit, s.role, name)
			}
			if name == "config" && value != "/etc/baton/"+s.settings {
				t.Errorf("%s reads %s", s.unit, value)
			}
		}
		settings := readSettings(t, s.settings)
		if s.tasks {
			data := said.settings(t)["data"] + settings["data"]
			if state := "/var/lib/" + strings.ReplaceAll(u.get("StateDirectory"), "%i", "default"); data != state {
				t.Errorf("%s makes %s, its data is in %s", s.unit, state, data)
			}
		}
	}
}

func readSettings(t *testing.T, name string) map[string]string {
	t.Helper()
	out := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(read(t, filepath.Join(units, name))), &out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text := map[string]string{}
	for k, v := range out {
		if s, ok := v.(string); ok {
			text[k] = s
		} else {
			text[k] = "" // a number
		}
	}
	return text
}

func TestSettingsAreTheRoles(t *testing.T) {
	t.Parallel()
	for _, s := range services {
		path := filepath.Join(units, s.settings)
		out, err := exec.Command(program, "version", "--config", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", s.settings, err, out)
		}
		known := flags(t, s.role)
		for key, value := range readSettings(t, s.settings) {
			if !slices.Contains(known, key) {
				t.Errorf("%s: baton %s has no setting %s", s.settings, s.role, key)
			}
			if regexp.MustCompile(`://[^/@]*:[^/@]+@`).MatchString(value) {
				t.Errorf("%s: there is a password in %s", s.settings, key)
			}
		}
	}
}

func TestUnitsOutwaitTheDrain(t *testing.T) {
	t.Parallel()
	for _, s := range services {
		u := readUnit(t, s.unit)
		if mode := u.get("KillMode"); mode != "mixed" {
			t.Errorf("%s: KillMode=%s: what drains is the main process, what is left when it has ended is killed", s.unit, mode)
		}
		if !s.tasks {
			continue
		}
		drain, err := time.ParseDuration(readSettings(t, s.settings)["drain-timeout"])
		if err != nil {
			t.Fatalf("%s: %v", s.settings, err)
		}
		if stop := span(t, u.get("TimeoutStopSec")); stop < drain+30*time.Second {
			t.Errorf("%s waits for %v, the drain takes up to %v", s.unit, stop, drain)
		}
		if policy := u.get("OOMPolicy"); policy != "continue" {
			t.Errorf("%s: OOMPolicy=%s: a greedy task would end the whole service", s.unit, policy)
		}
	}
}

// span reads a time span of systemd: seconds, or a number with a unit.
func span(t *testing.T, text string) time.Duration {
	t.Helper()
	if regexp.MustCompile(`^\d+$`).MatchString(text) {
		text += "s"
	}
	d, err := time.ParseDuration(strings.TrimSuffix(text, "in"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestHardeningLeavesTasksAlone(t *testing.T) {
	t.Parallel()
	// Each of these is felt by tasks: sudo, /home, /tmp, programs that make code, files of a group.
	felt := []string{
		"NoNewPrivileges", "ProtectHome", "PrivateTmp", "MemoryDenyWriteExecute", "UMask", "RestrictAddressFamilies",
		"SystemCallFilter", "PrivateNetwork", "CapabilityBoundingSet", "DynamicUser",
	}
	for _, s := range services {
		u := readUnit(t, s.unit)
		for _, key := range felt {
			if _, set := u[key]; set && s.tasks {
				t.Errorf("%s: %s= is felt by tasks; hardened.conf is the place", s.unit, key)
			}
		}
		if s.tasks && u.get("ProtectSystem") != "full" || !s.tasks && (u.get("ProtectSystem") != "strict" || u.get("NoNewPrivileges") != "yes") {
			t.Errorf("%s is not hardened", s.unit)
		}
	}
	worker := readUnit(t, "baton-worker@.service")
	for _, u := range []unit{worker, readUnit(t, "hardened.conf")} {
		if _, set := u["ProtectControlGroups"]; set {
			t.Error("ProtectControlGroups= takes the worker its cgroups")
		}
	}
	if worker.get("Delegate") != "yes" || !strings.Contains(read(t, root+"/internal/worker/supervisor/cgroup.go"), `"`+worker.get("DelegateSubgroup")+`"`) {
		t.Error("the worker has no cgroups of its own, or does not know the one that it is in")
	}
	if worker.get("User") == readUnit(t, "baton-master.service").get("User") {
		t.Error("tasks run as the user of masters, and can read the password of the database")
	}
}
