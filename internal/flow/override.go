// Overrides: what a verb changed of what a file says.

package flow

// Overrides tells what verbs said of the schedules and triggers of a workflow, by name: whether each is enabled. Those of
// which none said anything are not in it.
type Overrides struct {
	Schedules map[string]bool
	Triggers  map[string]bool
}
