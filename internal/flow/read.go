// What is read for people: runs with their names, lists, definitions.

package flow

// Run is an instance with the names of what it belongs to.
type Run struct {
	Instance
	ProjectName  string
	WorkflowName string
	OwnerName    string // name of the master that drives it
	ParentTask   string // name of the parent's task
}

// NamedAttempt is one try with the name of its task.
type NamedAttempt struct {
	AttemptRow
	TaskName string
	// SessionEnded is why the worker's session that it was given to is over, "" while it is not known to be.
	SessionEnded string
}

// RunFilter narrows a list of runs. Zero fields do not narrow.
type RunFilter struct {
	Project  string
	Workflow string
	States   []InstanceState
	Since    Time // submitted at or after
	Until    Time // submitted before
	Trigger  string
	DataFrom Time
	DataTo   Time
	Limit    int // 1..500
	Cursor   ID  // only ids below it; 0 begins at the newest
}

// AlertFilter narrows a list of alerts. Zero fields do not narrow.
type AlertFilter struct {
	Instance ID
	Project  string
	Workflow string
	Limit    int
	Cursor   ID
}

// Page is one page of a list. Next is the cursor of the next one, 0 at the end.
type Page[T any] struct {
	Items []T
	Next  ID
}

// Document is one checked document of a file, in the form the store keeps. Exactly one of the
// pointers is set.
type Document struct {
	Workflow    *Workflow
	Project     *Project
	DataSource  *DataSource
	Pool        *Pool
	Calendar    *Calendar
	Environment *Environment
	WorkerGroup *WorkerGroup
	Reset       bool   // an order to apply: what verbs changed is as the document says again
	File        string // name of the file it came from: resources lie beside it; never stored
}

// Applied tells what apply did with a document.
type Applied struct {
	Kind    string `json:"kind"`
	Project string `json:"project"`
	Name    string `json:"name"`
	Version int32  `json:"version"`
	Change  string `json:"change" enum:"created,updated,unchanged"`
}

// Project is a name space of workflows and what belongs to it.
type Project struct {
	ID          ID
	Name        string
	Description string
	Params      []Pair
	Weight      int // of its tasks where those of several projects wait for places; 0 is 1
}

// Definition is one stored version of a workflow.
type Definition struct {
	ID        ID
	ProjectID ID
	Project   string
	Name      string
	Version   int32
	CreatedAt Time
	Workflow  Workflow
	// ProjectParams are the project's parameters at the time of asking.
	ProjectParams []Pair
}

// DataSource is a database that sql tasks use. The password is never in it: Secret says where
// the worker finds it.
type DataSource struct {
	ID       ID                `json:"-"`
	Project  string            `json:"project"`
	Name     string            `json:"name"`
	Type     string            `json:"type"` // sqlite, postgres, mysql
	DSN      string            `json:"dsn,omitempty"`
	Host     string            `json:"host,omitempty"`
	Port     int               `json:"port,omitempty"`
	Database string            `json:"database,omitempty"`
	User     string            `json:"user,omitempty"`
	Options  map[string]string `json:"options,omitempty"`
	Password *Secret           `json:"password,omitempty"`
}

// Loaded is an instance as the store holds it, with its task rows in order of creation.
type Loaded struct {
	Instance Instance
	Tasks    []TaskRow
	Err      error // its rows cannot be read; there is only the id then
}

// Explanation says why a run stands where it stands, task by task.
type Explanation struct {
	State     InstanceState
	Reason    string
	NextCheck Time
	Tasks     []TaskExplanation // in order of the file; what was never reached included
}

// TaskExplanation says why a task stands where it stands and which values it sees.
type TaskExplanation struct {
	Name      string
	State     string // a TaskState's name; "unreached" or "" (not yet) for a task without row
	Reason    string
	NextCheck Time
	Params    []ParamOrigin
	Script    string // as it runs, parameters put in; "" when the type has none
	// Environment that its process is prepared by, "" for none.
	Environment string
}

// ParamOrigin is a value with the level it comes from.
type ParamOrigin struct {
	Name  string
	Value string
	From  string // start, local, output, global, project, builtin
}
