// What the API asks of the pure engine and of the file format.

package api

import (
	"encoding/json"

	"baton/internal/flow"
)

// Engine answers questions about runs; it changes nothing.
type Engine interface {
	// Check tells whether a run of the definition could be started so: parameters by type and enum,
	// tasks by name.
	Check(def flow.Definition, start flow.Start) error
	// Explain tells why a run stands where it stands; of the items of maps only about the one that is named.
	Explain(def flow.Definition, loaded flow.Loaded, item string, now flow.Time) (flow.Explanation, error)
	// Items tells which item of its map each row is about, by the row's id.
	Items(def flow.Definition, loaded flow.Loaded) (map[flow.ID]string, error)
}

// Documents reads and writes workflow files.
type Documents interface {
	// Parse checks files and returns what they say, or flow.Errors with everything wrong with them.
	// Documents that name no project get the given one.
	Parse(files []SourceFile, project string) ([]flow.Document, error)
	// EachFile calls do with every resource that a document names, and the task that names it.
	EachFile(doc flow.Document, do func(under, task string, f *flow.File))
	// DataSources names the data sources that a document's tasks use, with a task of each.
	DataSources(doc flow.Document) map[string]string
	// Workflows lists the workflows that a document's tasks begin or wait for.
	Workflows(doc flow.Document) []flow.UsedWorkflow
	// Approvals lists what a document's approvals ask.
	Approvals(doc flow.Document) []flow.Approval
	// Environments lists the environments that a workflow names, or a start of it, and the tasks that run in them.
	Environments(w *flow.Workflow, start flow.Start) []flow.EnvironmentUse
	// Place tells where a value of a document stands in its file, by its path, or the nearest thing to it; 0 when the file
	// does not hold the document.
	Place(file SourceFile, doc flow.Document, path ...string) (line, column int)
	// Export writes documents as one file.
	Export(docs []flow.Document) ([]byte, error)
	// Diff tells what a document would change, as fields and as text for people. Nothing changes:
	// no fields.
	Diff(have, want flow.Document) ([]FieldChange, string, error)
	// Schema is the JSON Schema of the file.
	Schema() json.RawMessage
}

// FieldChange is one difference of two documents.
type FieldChange struct {
	Op     string `json:"op" doc:"added, removed, changed or moved (the same keys in another order)"`
	Path   string `json:"path" doc:"Such as tasks.load.retry.times"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// SourceFile is one YAML file as the caller has it.
type SourceFile struct {
	Name      string     `json:"name" doc:"Path as the caller knows it; messages name it" maxLength:"4096"`
	Content   string     `json:"content" doc:"The YAML, one or more documents"`
	Resources []Resource `json:"resources,omitempty" doc:"Files the YAML names, uploaded before with PUT /blobs/{sha256}"`
}

// Resource is a file beside the YAML.
type Resource struct {
	Path       string `json:"path" doc:"As the YAML names it"`
	SHA256     string `json:"sha256" pattern:"^[0-9a-f]{64}$" doc:"Sum of its content"`
	Executable bool   `json:"executable,omitempty" doc:"Its executable bit"`
}
