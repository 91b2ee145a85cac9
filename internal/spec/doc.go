// Package spec is the workflow file: YAML in, checked flow documents out, and back again as YAML,
// as a difference for people and as a JSON Schema for editors.
//
// One table of keys per kind (workflow.go, task.go, …) says what a file may hold. The parser, the
// exporter, the difference and the schema are all made from it, so a key cannot exist in one of
// them and be missing in another.
//
// It must not know where files come from, who applies them, or what the store holds: it is given
// bytes and the task types, and what can be known from these alone is checked here.
package spec
