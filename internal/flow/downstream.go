// Runs that are rerun together with one on which they depend.

package flow

import "fmt"

// DownstreamKey begins the key of each order that reruns a run together with others. As long as such an order waits to be
// carried out, a dependent takes the run for one that has not ended: what it came to is about to be made anew.
const DownstreamKey = "rerun:"

// Downstream is a run that is to be rerun with one on which it depends.
type Downstream struct {
	ID       ID
	Workflow ID
	State    InstanceState // as it was found
	Order    ID            // in its inbox; 0: it is left alone
}

// LeftAlone tells why a run is not rerun with others; "": it is.
func (d *Downstream) LeftAlone() string {
	switch d.State {
	case InstanceSucceeded, InstanceFailed, InstanceStopped, InstancePaused:
		return ""
	default:
		return fmt.Sprintf("the run is %s: it goes on as it is; `baton rerun %s` runs it again when it has ended", d.State, d.ID)
	}
}
