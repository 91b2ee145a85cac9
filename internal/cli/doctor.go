// baton doctor: is this deployment well? From the client's side, and from the store's when it is named.

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// How a check ended.
const (
	checkOK    = "ok"
	checkWarn  = "warn"
	checkError = "error"
)

// checked is one line of the answer.
type checked struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

// findings collects what the checks say, in their order.
type findings []checked

func (f *findings) ok(check, format string, args ...any) {
	*f = append(*f, checked{check, checkOK, fmt.Sprintf(format, args...), ""})
}

func (f *findings) warn(check, remedy, format string, args ...any) {
	*f = append(*f, checked{check, checkWarn, fmt.Sprintf(format, args...), remedy})
}

func (f *findings) fail(check, remedy, format string, args ...any) {
	*f = append(*f, checked{check, checkError, fmt.Sprintf(format, args...), remedy})
}

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check a deployment: versions, clocks, leases, groups, disk",
		Long: `It asks the server, the masters at the addresses that they advertise, and with --store and --registry also
store and registry themselves. It changes nothing. Exit code 1: a check found an error.`,
		Example: `  baton doctor
  baton doctor --store postgres://baton@db/baton --registry etcd://e1:2379`,
		Args: noArguments,
	}
	f := c.Flags()
	f.String("store", "", "also look into this store: sqlite:PATH or postgres://…")
	f.String("registry", "", "also look into this registry: etcd://h:p,… or zookeeper://h:p,…")
	tlsFlags(f)
	c.RunE = action(func(ctx context.Context, _ []string) error {
		d := &doctor{config: a.config, client: a.client()}
		d.examine(ctx)
		raw, err := json.Marshal(struct {
			Items findings `json:"items"`
		}{d.found})
		if err != nil {
			return err
		}
		if err := a.print(raw, d.found.names(), d.found.write); err != nil {
			return err
		}
		for _, f := range d.found {
			if f.Status == checkError {
				return silentError(exitFailed)
			}
		}
		return nil
	})
	return c
}

// names are the checks that are not ok.
func (f findings) names() []string {
	var out []string
	for _, c := range f {
		if c.Status != checkOK {
			out = append(out, c.Check)
		}
	}
	return out
}

// write prints a line for each check, and the remedy below it.
func (f findings) write(w io.Writer) error {
	for _, c := range f {
		if _, err := fmt.Fprintf(w, "%-5s  %-10s  %s\n", c.Status, c.Check, firstOf(c.Found)); err != nil {
			return err
		}
		if c.Remedy != "" {
			if _, err := fmt.Fprintf(w, "       %-10s  → %s\n", "", c.Remedy); err != nil {
				return err
			}
		}
	}
	return nil
}
