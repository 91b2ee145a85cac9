// What is found in an attempt's output and in its file for outputs.

package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"unicode/utf8"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
	"baton/internal/worker/tasklog"
)

// findings gathers outputs and matches while the log is written. Its users take turns: the log
// calls line under its lock, the rest comes when the log is flushed.
type findings struct {
	patterns []string
	compiled []*regexp.Regexp // nil entries are not valid, or have matched
	matched  []bool
	values   task.Outputs
	size     int
	cut      bool // a line with an output in it was too long
}

var setValue = []byte("{setValue(")

func (f *findings) line(line []byte, cut bool) {
	if bytes.Contains(line, setValue) {
		f.cut = f.cut || cut
		param.ScanSetValue(line, func(name, value string) {
			if f.size += len(name) + len(value); f.size > 16*flow.MaxOutputsPerTask {
				return // far too much already: outputs refuses it
			}
			if f.values == nil {
				f.values = task.Outputs{}
			}
			f.values[name] = task.TextValue(value)
		})
	}
	if len(f.patterns) > 0 {
		f.match(line)
	}
}

func (f *findings) match(line []byte) {
	if f.compiled == nil {
		f.matched = make([]bool, len(f.patterns))
		f.compiled = make([]*regexp.Regexp, len(f.patterns))
		for i, p := range f.patterns {
			// The file was checked when it was applied; a pattern that is not valid matches nothing.
			f.compiled[i], _ = regexp.Compile(p)
		}
	}
	for i, re := range f.compiled {
		if re != nil && re.Match(line) {
			f.matched[i], f.compiled[i] = true, nil
		}
	}
}

func (f *findings) matchedPatterns() []string {
	var out []string
	for i, yes := range f.matched {
		if yes {
			out = append(out, f.patterns[i])
		}
	}
	return out
}

// remedy ends the message about too many outputs.
const remedy = "write large results to a file or a table and hand on where they are"

// outputs returns what the task handed on: by its log, and by its file, which wins.
func (f *findings) outputs(path string) (task.Outputs, error) {
	if f.cut {
		return nil, &task.Failure{Cause: task.CauseOutputs, Message: fmt.Sprintf(
			"a line with ${setValue(…)} is longer than %d KiB, a task may hand on %d KiB: %s", tasklog.MaxLine>>10, flow.MaxOutputsPerTask>>10, remedy)}
	}
	out := f.values
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, out.Check(remedy)
	}
	if err != nil {
		return nil, &task.Failure{Cause: task.CauseOutputs, Message: "read outputs", Err: err}
	}
	defer file.Close()
	// Spaces count here, so that the limit bounds what is read, whatever is in the file.
	b, err := io.ReadAll(io.LimitReader(file, 4*flow.MaxOutputsPerTask+1))
	if err != nil {
		return nil, &task.Failure{Cause: task.CauseOutputs, Message: "read outputs", Err: err}
	}
	if len(b) > 4*flow.MaxOutputsPerTask {
		info, _ := file.Stat()
		return nil, &task.Failure{Cause: task.CauseOutputs, Message: fmt.Sprintf(
			"the file BATON_OUTPUT has %d KiB, a task may hand on %d KiB: %s", info.Size()>>10, flow.MaxOutputsPerTask>>10, remedy)}
	}
	named, err := parseOutputs(b)
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = named
	}
	maps.Copy(out, named)
	return out, out.Check(remedy)
}

// parseOutputs reads one JSON object, or several one after another, as `>> $BATON_OUTPUT` makes
// them; the last of a name counts.
func parseOutputs(b []byte) (task.Outputs, error) {
	out := task.Outputs{}
	dec := json.NewDecoder(bytes.NewReader(b))
	for {
		var part map[string]json.RawMessage
		err := dec.Decode(&part)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, malformed(b, dec.InputOffset(), err)
		}
		maps.Copy(out, part)
	}
}

// storable tells whether every store takes the JSON: no NUL, escaped or not, and valid UTF-8.
func storable(b []byte) bool {
	return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 && !bytes.Contains(b, []byte(`\u0000`))
}

// malformed names the place of a mistake in the file.
func malformed(b []byte, offset int64, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	message := err.Error()
	switch {
	case errors.As(err, &syntax):
		offset = max(0, syntax.Offset-1)
	case errors.As(err, &kind):
		offset = kind.Offset
		message = "expected a JSON object such as {\"rows\": 42}, found " + kind.Value
	case errors.Is(err, io.ErrUnexpectedEOF):
		offset = int64(len(b))
		message = "it ends in the middle of a value"
	}
	before := b[:min(int(offset), len(b))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return &task.Failure{Cause: task.CauseOutputs, Message: fmt.Sprintf("the file BATON_OUTPUT is no JSON: line %d, column %d: %s", line, column, message)}
}

// maskOutputs keeps secrets out of outputs, which end up in the store and in answers.
func maskOutputs(out task.Outputs, secrets []string) task.Outputs {
	if len(secrets) == 0 {
		return out
	}
	for k, v := range out {
		masked := tasklog.Mask(v, secrets)
		if bytes.Equal(masked, v) {
			continue
		}
		if !json.Valid(masked) {
			masked = []byte(`"***"`)
		}
		out[k] = masked
	}
	return out
}
