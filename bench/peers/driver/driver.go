// Package driver is what every driver of a peer does: it reads one order a line as JSON and
// answers with one line. It must not know any peer; it is a module of its own because each peer's
// driver is one, with the peer's own dependencies.
package driver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Main runs a driver on its only argument, the address of what it drives.
func Main(drive func(address string) error) {
	if err := drive(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Serve says that the driver is ready, then carries out orders until there are no more.
func Serve[Order, Answer any](run func(Order) (Answer, error)) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(struct{}{}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o Order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		var answer any
		answer, err := run(o)
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Shell is the command that every peer runs in the same way: in a group of its own, and what it
// printed is kept, as a scheduler must.
func Shell() (printed string, err error) {
	cmd := exec.Command("/bin/sh", "-c", "echo hello")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
