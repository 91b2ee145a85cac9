// The published JSON Schema, for editors.

package spec

import (
	"encoding/json"
	"maps"

	"baton/internal/flow"
	"baton/internal/task"
)

// JSONSchema is the JSON Schema (draft 2020-12) of one document of a file. It is made from the tables
// that Parse reads by and from the schemas of the task types. It knows the shape of a file, not what
// its parts say of each other: what it accepts Parse may still refuse, never the other way round.
func JSONSchema(types *task.Set) []byte {
	documents := []struct {
		name   string
		schema object
	}{
		{kindProject, projectKeys.schema()},
		{kindDataSource, dataSourceKeys.schema()},
		{kindCalendar, calendarKeys.schema()},
		{kindEnvironment, environmentKeys.schema()},
		{kindWorkerGroup, workerGroupKeys.schema()},
		{kindPool, poolKeys.schema()},
		{kindWorkflow, workflowKeys.schema()},
	}
	defs := object{
		"task":         withTypes(taskKeys.schema(), types, true),
		"compensation": withTypes(compensationKeys.schema(), types, false),
		"inner":        withTypes(innerKeys.schema(), types, false),
	}
	var choose []any
	var others []any
	for _, k := range documents {
		defs[k.name] = k.schema
		if k.name == kindWorkflow {
			continue
		}
		is := object{"properties": object{"kind": object{"const": k.name}}, "required": []string{"kind"}}
		others = append(others, is)
		choose = append(choose, object{"if": is, "then": ref(k.name)})
	}
	choose = append(choose, object{"if": object{"not": object{"anyOf": others}}, "then": ref(kindWorkflow)})
	return marshal(object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Baton workflow file",
		"description": "One document of a workflow file.",
		"type":        "object",
		"properties":  object{"kind": object{"enum": kinds(), "default": kindWorkflow, "description": "What the document is."}},
		"allOf":       choose,
		"$defs":       defs,
	})
}

func ref(def string) object { return object{"$ref": "#/$defs/" + def} }

// withTypes adds the options of each type under the condition that it is the type. Without a type the
// task is a shell task whose script is in run.
func withTypes(s object, types *task.Set, engine bool) object {
	var names []string
	var rules []any
	add := func(name string, options object) {
		names = append(names, name)
		then := object{"properties": object{"with": options}}
		if required, ok := options["required"].([]string); ok && len(required) > 0 && name != typeShell {
			then["required"] = []string{"with"}
		}
		rules = append(rules, object{"if": object{"properties": object{"type": object{"const": name}}, "required": []string{"type"}}, "then": then})
	}
	for _, t := range types.All() {
		switch t.Name() {
		case flow.TypeSwitch, flow.TypeConditions: // below: the engine's own, with their cases spelled out
		case typeShell:
			bare := t.Schema().JSONSchema()
			delete(bare, "required") // the script may be in run
			add(typeShell, bare)
			rules = append(rules, object{"if": object{"not": object{"required": []string{"type"}}}, "then": object{"properties": object{"with": bare}}})
		default:
			add(t.Name(), t.Schema().JSONSchema())
		}
	}
	if engine {
		add(flow.TypeSwitch, switchKeys.schema())
		add(flow.TypeConditions, conditionsKeys.schema())
		useless := object{}
		for _, k := range taskKeys.keys {
			if k.work {
				useless[k.name] = object{"not": object{}, "description": "Does nothing for a task that is decided without a worker."}
			}
		}
		rules = append(rules, object{
			"if":   object{"properties": object{"type": object{"enum": []string{flow.TypeSwitch, flow.TypeConditions}}}, "required": []string{"type"}},
			"then": object{"properties": useless},
		})
	}
	properties := maps.Clone(s["properties"].(object)) //nolint:forcetypeassert // of our own making
	properties["type"] = object{"enum": names, "default": typeShell, "description": properties["type"].(object)["description"]}
	s["properties"] = properties
	s["anyOf"] = []any{object{"required": []string{"run"}}, object{"required": []string{"type"}}}
	s["allOf"] = rules
	return s
}

func marshal(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("json schema: " + err.Error()) // maps, lists and texts always marshal
	}
	return append(b, '\n')
}
