// Outputs of the tasks before a task, and which of several equal ones counts.

package param

import (
	"strings"
	"time"
)

// Upstream is a task before the one at hand that has ended, with its outputs.
type Upstream struct {
	Task     string
	Distance int       // edges to the task at hand, 1 for a direct upstream
	EndedAt  time.Time // zero: after every other
	Outputs  map[string]string
}

// Upstreams are all of them, in any order. They are searched, never merged, so
// one slice may serve every task that has the same upstreams.
type Upstreams []Upstream

// Lookup returns the value of an output by name alone. Of several the nearest
// wins, then one that is not empty, then the earliest end; the task's name
// decides what is still equal.
func (u Upstreams) Lookup(name string) (value string, from *Upstream, ok bool) {
	for i := range u {
		v, has := u[i].Outputs[name]
		if has && (from == nil || u[i].before(v, from, value)) {
			value, from, ok = v, &u[i], true
		}
	}
	return value, from, ok
}

// before reports whether value, an output of u, wins over other's.
func (u *Upstream) before(value string, other *Upstream, otherValue string) bool {
	switch {
	case u.Distance != other.Distance:
		return u.Distance < other.Distance
	case (value == "") != (otherValue == ""):
		return value != ""
	case !u.EndedAt.Equal(other.EndedAt):
		return !u.EndedAt.IsZero() && (other.EndedAt.IsZero() || u.EndedAt.Before(other.EndedAt))
	default:
		return u.Task < other.Task
	}
}

// Find returns the output that a qualified name T.name means. Task names may
// hold dots; the longest that fits is meant. task is nil when none fits.
func (u Upstreams) Find(qualified string) (value string, task *Upstream, output string, ok bool) {
	for i := range u {
		name, found := strings.CutPrefix(qualified, u[i].Task)
		if !found || len(name) < 2 || name[0] != '.' {
			continue
		}
		if task == nil || len(u[i].Task) > len(task.Task) {
			task, output = &u[i], name[1:]
		}
	}
	if task != nil {
		value, ok = task.Outputs[output]
	}
	return value, task, output, ok
}

// SplitTaskRef splits a qualified name into a task and its output; isTask tells
// the names of tasks. The longest name of a task that fits is meant.
func SplitTaskRef(name string, isTask func(string) bool) (task, output string, ok bool) {
	for i := len(name) - 2; i > 0 && isTask != nil; i-- {
		if name[i] == '.' && isTask(name[:i]) {
			return name[:i], name[i+1:], true
		}
	}
	return "", "", false
}
