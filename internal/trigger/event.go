// What happened, as the expressions of a trigger's parameters see it.

package trigger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/param"
)

// Names in expressions over an event.
const (
	NameRuns    = "runs"    // of after: by workflow, its id, state, data_time and outputs
	NameBody    = "body"    // of webhook: JSON, or text
	NameHeaders = "headers" // of webhook: by name in small letters
	NameFile    = "file"    // of file: its path, name, size and modified_at
	NamePayload = "payload" // of notify: JSON, or text
	NameChannel = "channel" // of notify
	NameMissed  = "missed"  // of notify: true of the run that makes up for a time in which nobody listened
)

// NamesOf lists what the expressions of a kind of trigger may name.
func NamesOf(kind flow.TriggerKind) []string {
	switch kind {
	case flow.TriggerWebhook:
		return []string{NameBody, NameHeaders}
	case flow.TriggerNotify:
		return []string{NamePayload, NameChannel, NameMissed}
	case flow.TriggerFile:
		return []string{NameFile}
	default:
		return []string{NameRuns}
	}
}

// Event is what happened: JSON values and texts by name.
type Event struct {
	JSON  map[string]json.RawMessage
	Texts map[string]string
	// DataTime is what the run is for, Zone that of its workflow.
	DataTime flow.Time
	Zone     string
	Project  string
}

// Give names a value of the event: JSON where it is that, otherwise text, of which no more is kept than most bytes.
func (e *Event) Give(name string, raw []byte, most int) {
	if json.Valid(raw) {
		if e.JSON == nil {
			e.JSON = map[string]json.RawMessage{}
		}
		e.JSON[name] = raw
		return
	}
	if e.Texts == nil {
		e.Texts = map[string]string{}
	}
	e.Texts[name] = flow.Text(string(raw), most)
}

// opening begins an expression. A text without one is a start parameter as it stands, which the run itself resolves.
const opening = "${{"

// Params are the start parameters that a trigger gives for an event. What came from the event is data, whatever it looks
// like.
func (e Event) Params(pairs []flow.Pair) (map[string]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	scope, err := e.scope()
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		if !strings.Contains(p.Value, opening) {
			out[p.Name] = p.Value
			continue
		}
		t, err := param.Compile(p.Value)
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", p.Name, err)
		}
		text, err := t.Render(scope)
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", p.Name, err)
		}
		out[p.Name] = param.Escape(text)
	}
	return out, nil
}

func (e Event) scope() (*param.Scope, error) {
	s := &param.Scope{Bound: map[string]string{}, Builtin: param.Builtins{DataTime: e.DataTime.Std(), Zone: e.zone(), Project: e.Project}}
	var decls []param.Decl
	for name, raw := range e.JSON {
		s.Bound[name] = string(raw)
		decls = append(decls, param.Decl{Name: name, Type: param.TypeJSON})
	}
	maps.Copy(s.Bound, e.Texts)
	var err error
	s.Declared, err = param.CompileParams(decls)
	return s, err
}

func (e Event) zone() *time.Location {
	if zone, err := time.LoadLocation(e.Zone); err == nil {
		return zone
	}
	return time.UTC // a zone that this program does not know
}

// Check tells whether the text of a parameter may be computed from an event of a kind: a *param.Error says why not.
func Check(kind flow.TriggerKind, text string) error {
	t, err := param.Compile(text)
	if err != nil || !strings.Contains(text, opening) {
		return err
	}
	names := NamesOf(kind)
	for _, r := range t.Refs() {
		builtin := strings.HasPrefix(r.Name, "system.")
		if !builtin && !r.Known(func(n string) bool { return slices.Contains(names, n) }, func(string) bool { return false }) {
			e := param.UnknownParameter(r, names)
			e.Message = fmt.Sprintf("%q is not of the event; an expression of a trigger sees %s", r.Name, strings.Join(names, ", "))
			return e
		}
	}
	return nil
}
