// The script of the compose file that makes the first token, run with a baton that counts.

package deploy

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func runTokenScript(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	fake := filepath.Join(dir, "bin", "baton")
	write(t, fake, "#!/bin/sh\ntest \"$FAIL\" = no || exit 1\necho once >>"+dir+"/calls\necho secret\n")
	if out, err := exec.Command("chmod", "+x", fake).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	write(t, filepath.Join(dir, "token", ".keep"), "")
	script = strings.ReplaceAll(script, "/token/", filepath.Join(dir, "token")+"/")
	run := func(fail string) error {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Env = []string{"PATH=" + filepath.Dir(fake) + ":/usr/bin:/bin", "FAIL=" + fail}
		return cmd.Run()
	}
	if err := run("yes"); err == nil {
		t.Error("a failure is not told")
	}
	for range 2 {
		if err := run("no"); err != nil {
			t.Error(err)
		}
	}
	if token := read(t, filepath.Join(dir, "token", "token")); token != "secret\n" {
		t.Errorf("token %q", token)
	}
	if calls := read(t, filepath.Join(dir, "calls")); calls != "once\n" {
		t.Errorf("tokens were made: %q", calls)
	}
}
