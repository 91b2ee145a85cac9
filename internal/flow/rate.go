// Rates: how many runs begin in a time.

package flow

import "time"

// Rate says how many runs of a workflow begin within any stretch of a length. The zero value is any number of them.
type Rate struct {
	Starts int      `json:"starts,omitempty"` // 0: no rate
	Per    Duration `json:"per,omitempty"`
	Key    string   `json:"key,omitempty"` // a text with ${…}: the rate is one of the runs with the same key; "": of all
}

// Bounds of a rate. The starts of a whole stretch are read when one more is wanted.
const (
	MaxStarts  = 10_000
	MaxRatePer = Duration(31 * 24 * time.Hour)
)

// window is what a rate sees: the starts that count now, oldest first. One that a clock which was set back since has
// put into the future counts as one of now, so that nobody waits for more than the rate is long.
type window struct {
	Rate
	starts []Time
	now    Time
}

func (r Rate) window(starts []Time, now Time) window {
	w := window{Rate: r, now: now}
	for _, t := range starts {
		if t = min(t, now); t > now.Add(-r.Per.Std()) {
			w.starts = append(w.starts, t)
		}
	}
	return w
}

// free is how many of n may begin now.
func (w *window) free(n int) int {
	if w.Starts == 0 {
		return n
	}
	return min(n, max(w.Starts-len(w.starts), 0))
}

// begin has one more begin as soon as it may, and returns when that is.
func (w *window) begin() Time {
	at := w.now
	if w.Starts == 0 {
		return at
	}
	if n := len(w.starts); n >= w.Starts {
		at = max(at, w.starts[n-w.Starts].Add(w.Per.Std()))
	}
	w.starts = append(w.starts, at)
	return at
}

// When is the moment at which a run may begin that has so many before it, if they begin as soon as they may.
func (r Rate) When(starts []Time, now Time, before int) Time {
	w := r.window(starts, now)
	for range before {
		w.begin()
	}
	return w.begin()
}
