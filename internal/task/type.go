// What a task type is, and the two ways to run one.

package task

import (
	"context"
	"encoding/json"
	"io"

	"baton/internal/flow"
)

// Type is a kind of work. A Type is also either a Process or a Function. Implementations have no
// state and are safe for concurrent use.
type Type interface {
	// Name is what a file writes in `type:`.
	Name() string
	// Schema describes the options of `with:`.
	Schema() Schema
	// Check finds what the schema cannot say, such as two options that exclude each other. Options
	// passed the schema; texts may still hold ${…}. Fields of errors are relative to `with`.
	Check(options json.RawMessage) []*flow.Error
}

// Process is a type that runs as a process of its own, under the supervisor.
type Process interface {
	Type
	// Command says how to start the attempt. It may write files into a.Dir; it starts nothing.
	Command(a *Attempt) (Command, error)
}

// Function is a type that runs inside the worker.
type Function interface {
	Type
	// Run does the work and returns when it is done or ctx is cancelled (the attempt is to be killed:
	// Run must then return soon). An error is a failure of the attempt; use Failure to give it a
	// cause.
	Run(ctx context.Context, a *Attempt) (Outputs, error)
}

// Attempt is what a type sees of the try it runs.
type Attempt struct {
	Token    int64
	Instance flow.ID
	Task     flow.ID
	Number   int32
	Name     string // of the task
	Project  string
	Workflow string
	Options  json.RawMessage   // rendered, checked
	Env      map[string]string // BATON_…, parameters, `env:`; secrets resolved
	Dir      string            // work folder, with the task's files; removed after the end
	Log      io.Writer         // the attempt's log; safe for concurrent use
	Source   *flow.DataSource  // for options of kind DataSourceOption; password resolved apart
	Password string            // of Source
	Setup    *Setup            // of a process; nil: nothing is to be sourced before it
	// Alive tells that there was a sign of life, for timeout.heartbeat. Output does so too.
	Alive func()
}

// Command is a process to start: Args[0] is looked up in PATH unless it has a slash. The
// supervisor adds the environment of the attempt, the folder, the log and the process group.
type Command struct {
	Args []string
	Env  map[string]string // above that of the attempt
	// Sourced says that the process sources the attempt's Setup itself. Otherwise a shell does it, which then becomes
	// the process.
	Sourced bool
}

// Outputs are named values a task hands to those after it, each a text or JSON value.
type Outputs map[string]json.RawMessage

// Failure is an error with a cause that retry.if and people can match, such as "http:503".
type Failure struct {
	Cause   string
	Message string
	Err     error
}

func (f *Failure) Error() string {
	if f.Err != nil {
		return f.Message + ": " + f.Err.Error()
	}
	return f.Message
}

// Unwrap returns the error behind it.
func (f *Failure) Unwrap() error { return f.Err }

// Set is the list of types a process knows, by name. It is built once and read concurrently.
type Set struct {
	order []Type
	names map[string]Type
}

// NewSet makes a set. Two types of one name are a mistake of the program and panic.
func NewSet(types ...Type) *Set {
	s := &Set{order: types, names: make(map[string]Type, len(types))}
	for _, t := range types {
		if _, twice := s.names[t.Name()]; twice {
			panic("task type " + t.Name() + " is listed twice")
		}
		s.names[t.Name()] = t
	}
	return s
}

// Get returns the type of a name.
func (s *Set) Get(name string) (Type, bool) {
	t, ok := s.names[name]
	return t, ok
}

// All returns the types in the order of the list.
func (s *Set) All() []Type { return s.order }
