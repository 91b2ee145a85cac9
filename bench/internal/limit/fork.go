// Starting processes, as a worker must.

package limit

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Exec starts a program with its output in a pipe, in a process group of its own, and waits, on
// two goroutines: more buys nothing on two cores.
func Exec(d time.Duration, want string, argv ...string) (Rate, error) {
	return loop(2, d, func(int, int) error {
		var out bytes.Buffer
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Run(); err != nil || out.String() != want {
			return fmt.Errorf("run %q: %w: %q", argv, err, out.String())
		}
		return nil
	})
}
