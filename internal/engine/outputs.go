// Outputs: what rows hand on, and what those after them see of it.

package engine

import (
	"encoding/json"
	"fmt"
	"strings"

	"baton/internal/flow"
	"baton/internal/param"
)

// badOutputs tells why outputs cannot be kept, "" when they can. One bad row must not fail a group
// commit, nor the outputs of one run fill the store.
func (s *State) badOutputs(raw []byte) string { return s.badBeside(raw, 0) }

// badBeside does not count so many bytes of them.
func (s *State) badBeside(raw []byte, free int) string {
	switch {
	case len(raw) == 0:
		return ""
	case len(raw)-free > flow.MaxOutputsPerTask:
		return fmt.Sprintf("its outputs have %d bytes; %d are allowed", len(raw), flow.MaxOutputsPerTask)
	}
	if _, err := DecodeTexts(raw); err != nil {
		return "its outputs are no JSON object: " + err.Error()
	}
	if total := s.handed + len(raw); total > flow.MaxOutputsPerInstance {
		return fmt.Sprintf("the outputs of the run have %d bytes with it; %d are allowed", total, flow.MaxOutputsPerInstance)
	}
	return ""
}

// upstream collects the outputs of all tasks before a node, with their distance. A compensation
// sees its own task first.
func (s *State) upstream(i int32, row *flow.TaskRow) param.Upstreams {
	if s.giving == 0 {
		return nil
	}
	var ups param.Upstreams
	seen := map[int32]bool{i: true}
	level := []int32{i}
	if row != nil && row.Compensates != 0 {
		if u, ok := s.outputsOf(i, 0); ok {
			ups = append(ups, u)
		}
	}
	for distance := 1; len(level) > 0; distance++ {
		var next []int32
		for _, at := range level {
			for _, u := range s.before(at) {
				if seen[u] || !s.chosen(u) {
					continue
				}
				seen[u] = true
				next = append(next, u)
				if o, ok := s.outputsOf(u, distance); ok {
					ups = append(ups, o)
				}
			}
		}
		level = next
	}
	return ups
}

// before is what a node comes right after. What runs at the end of the run comes after all else.
func (s *State) before(i int32) []int32 {
	n := &s.Plan.nodes[i]
	if n.final && len(n.up) == 0 {
		return s.endsOfRun()
	}
	return n.up
}

func (s *State) outputsOf(i int32, distance int) (param.Upstream, bool) {
	r := s.row[i]
	if r < 0 || len(s.Rows[r].Outputs) == 0 {
		return param.Upstream{}, false
	}
	texts := s.textsOf(r)
	row := &s.Rows[r]
	return param.Upstream{Task: row.Name, Distance: distance, EndedAt: row.EndedAt.Std(), Outputs: texts}, texts != nil
}

// textsOf decodes the outputs of a row, once: each item of a map looks at what came before it. A row is given outputs
// once, so what was decoded stays true.
func (s *State) textsOf(r int32) map[string]string {
	if texts, known := s.texts[r]; known {
		return texts
	}
	texts, err := DecodeTexts(s.Rows[r].Outputs)
	if err != nil {
		texts = nil // checked when the result came in
	}
	if s.texts == nil {
		s.texts = map[int32]map[string]string{}
	}
	s.texts[r] = texts
	return texts
}

// giveOutputs keeps what a row hands on.
func (s *State) giveOutputs(r int32, outputs []byte) {
	if len(outputs) > 0 {
		s.Rows[r].Outputs = outputs
		s.giving++
		s.handed += len(outputs)
	}
}

// DecodeTexts reads a JSON object of outputs or parameters as texts: strings as they are, every
// other value as its JSON. The character NUL, which no store keeps, becomes one that stands for what cannot be shown.
func DecodeTexts(raw []byte) (map[string]string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("outputs: %w", err)
	}
	out := make(map[string]string, len(values))
	for k, v := range values {
		if len(v) > 0 && v[0] == '"' {
			var text string
			if err := json.Unmarshal(v, &text); err != nil {
				return nil, fmt.Errorf("output %q: %w", k, err)
			}
			out[k] = strings.ReplaceAll(text, "\x00", "\uFFFD")
			continue
		}
		out[k] = string(v)
	}
	return out, nil
}
