package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
)

// A process that was killed while it started a child may leave the lock with that child for a
// moment: who starts next waits for it, and does not send the administrator after a dead process.
func TestLockOfADeadProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead := exec.CommandContext(t.Context(), "true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left, err := os.Create(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := left.WriteString(strconv.Itoa(dead.Process.Pid) + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(left.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { left.Close() })
	mine, err := lockFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if _, err := lockFolder(context.WithoutCancel(t.Context()), dir); flow.CodeOf(err) != flow.CodeConflict {
		t.Errorf("the folder of a live process: %v", err)
	}
}
