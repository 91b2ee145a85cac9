// The binary under test.

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// EnvBinary names a binary to test instead of one built from this source.
const EnvBinary = "BATON_TEST_BINARY"

var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Main runs the tests of a package and removes the binary afterwards. Call it from TestMain with
// m.Run, or with what runs m.
func Main(run func() int) int {
	code := run()
	if binary.dir != "" {
		if err := os.RemoveAll(binary.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// Binary returns the path of the program, built at the first call: with the race detector when
// the tests have it.
func Binary(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() { binary.path, binary.err = build() })
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

func build() (string, error) {
	if path := os.Getenv(EnvBinary); path != "" {
		return filepath.Abs(path)
	}
	var err error
	if binary.dir, err = os.MkdirTemp("", "baton-test-bin"); err != nil {
		return "", err
	}
	path := filepath.Join(binary.dir, "baton")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	c := exec.Command("go", append(args, "./cmd/baton")...)
	c.Dir = Root()
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build baton: %w\n%s", err, out)
	}
	return path, nil
}

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// BinaryWith returns a program built with tags, once per package and tag set.
func BinaryWith(t testing.TB, tags string) string {
	t.Helper()
	tagged.mu.Lock()
	defer tagged.mu.Unlock()
	if path, ok := tagged.paths[tags]; ok {
		return path
	}
	path := filepath.Join(filepath.Dir(Binary(t)), "baton-"+tags)
	c := exec.Command("go", "build", "-tags", tags, "-o", path, "./cmd/baton")
	c.Dir = Root()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build baton with %s: %v\n%s", tags, err, out)
	}
	if tagged.paths == nil {
		tagged.paths = map[string]string{}
	}
	tagged.paths[tags] = path
	return path
}

// commitBefore is the version that upgrades begin with: one before the present one that people have.
// It is moved on with each release.
const commitBefore = "5661ae3981f4"

// BinaryBefore returns a program of an earlier version. In a source tree without that commit (an
// archive, a shallow clone) it is the present source under another version.
func BinaryBefore(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-before")
	source := t.TempDir()
	tree := exec.Command("git", "archive", "--format=tar", "--output", filepath.Join(source, "tree.tar"), commitBefore)
	tree.Dir = Root()
	if out, err := tree.CombinedOutput(); err != nil {
		t.Logf("the present source is built as the version before: %v: %s", err, out)
		source = Root()
	} else if out, err := exec.Command("tar", "-xf", filepath.Join(source, "tree.tar"), "-C", source).CombinedOutput(); err != nil {
		t.Fatalf("unpack %s: %v\n%s", commitBefore, err, out)
	}
	c := exec.Command("go", "build", "-ldflags", "-X baton/internal/cli.version=v0.0.0-before", "-o", path, "./cmd/baton")
	c.Dir = source
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build baton before: %v\n%s", err, out)
	}
	return path
}

var tagged struct {
	mu    sync.Mutex
	paths map[string]string
}
