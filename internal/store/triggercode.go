// Triggers as the store writes them: a small number, because list indexes carry it.

package store

import (
	"slices"
	"strings"

	"baton/internal/flow"
)

// triggers by code; never reorder. The empty trigger is manual.
var triggers = []string{"", flow.TriggerManual, flow.TriggerSchedule, flow.TriggerBackfill, flow.TriggerSubWorkflow, flow.TriggerTrigger}

func triggerCode(name string) (int16, error) {
	if name == "" {
		return 1, nil
	}
	i := slices.Index(triggers, name)
	if i < 1 {
		return 0, flow.Errorf(flow.CodeBadRequest, "trigger", "%q is no trigger; one of %s", name, strings.Join(triggers[1:], ", "))
	}
	return int16(i), nil
}

// trigger scans a code into its name.
type trigger struct{ name *string }

// Scan implements sql.Scanner.
func (t trigger) Scan(v any) error {
	n, ok := v.(int64)
	if !ok || n < 0 || int(n) >= len(triggers) {
		*t.name = "unknown" // written by a newer program
		return nil
	}
	*t.name = triggers[n]
	return nil
}
