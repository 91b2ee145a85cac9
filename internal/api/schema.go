// How Baton's own types look in the OpenAPI document.

package api

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"baton/internal/flow"
)

// aliases tells huma that ids and times are strings outside, or null for none.
func aliases(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[flow.ID](), reflect.TypeFor[idSchema]())
	r.RegisterTypeAlias(reflect.TypeFor[flow.Time](), reflect.TypeFor[timeSchema]())
}

type idSchema struct{}

func (idSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true, Examples: []any{"7301444403200000"}}
}

type timeSchema struct{}

func (timeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Nullable: true}
}

// InstanceState is the name of a flow.InstanceState. Clients accept names they do not know.
type InstanceState string

// Schema lists the names known today.
func (InstanceState) Schema(huma.Registry) *huma.Schema {
	return stateSchema(func(n uint8) string { return flow.InstanceState(n).String() })
}

// TaskState is the name of a flow.TaskState. Clients accept names they do not know.
type TaskState string

// Schema lists the names known today.
func (TaskState) Schema(huma.Registry) *huma.Schema {
	return stateSchema(func(n uint8) string { return flow.TaskState(n).String() })
}

// AttemptState is the name of a flow.AttemptState. Clients accept names they do not know.
type AttemptState string

// Schema lists the names known today.
func (AttemptState) Schema(huma.Registry) *huma.Schema {
	return stateSchema(func(n uint8) string { return flow.AttemptState(n).String() })
}

// stateSchema describes an open set: a list of names in words, so that a new state breaks no
// generated client.
func stateSchema(name func(uint8) string) *huma.Schema {
	var names []string
	for n := uint8(1); name(n) != "state"+strconv.Itoa(int(n)); n++ {
		names = append(names, name(n))
	}
	return &huma.Schema{
		Type: huma.TypeString, Examples: []any{names[0]},
		Description: "One of " + strings.Join(names, ", ") + "; more may come.",
	}
}

// Schema of a parent: an object or null.
func (ParentRef) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Nullable: true, Description: "The run and task that started this run",
		Properties: map[string]*huma.Schema{
			"instance": r.Schema(reflect.TypeFor[string](), true, ""),
			"task":     r.Schema(reflect.TypeFor[string](), true, ""),
		},
		Required: []string{"instance", "task"}, AdditionalProperties: false,
	}
}
