// --bulk: one question a line, one answer a line.

package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"baton/internal/flow"
)

// bulkFailure is the answer to a question that cannot be answered.
type bulkFailure struct {
	ID    json.RawMessage `json:"id,omitempty"`
	Error *flow.Error     `json:"error"`
}

// maxBulkLine bounds one question.
const maxBulkLine = 4 << 20

// bulk answers every line. Only a line that is not JSON ends it.
func bulk[Question, Answer any](in io.Reader, out io.Writer, answer func(Question) (Answer, error)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxBulkLine)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if !json.Valid(line) {
			_ = w.Flush() // what was answered stays answered
			return usagef("line %d is not JSON: %.60q", n, line)
		}
		if err := enc.Encode(bulkLine(line, answer)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		_ = w.Flush() // what was answered stays answered
		return usagef("read standard input: %w", err)
	}
	return w.Flush()
}

func bulkLine[Question, Answer any](line []byte, answer func(Question) (Answer, error)) any {
	var q Question
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return bulkFailure{ID: idOf(line), Error: flow.Errorf(flow.CodeBadRequest, "", "%s", err)}
	}
	got, err := answer(q)
	if err != nil {
		var e *flow.Error
		if !errors.As(err, &e) {
			e = flow.Errorf(flow.CodeInternal, "", "%s", err)
		}
		return bulkFailure{ID: idOf(line), Error: e}
	}
	return got
}

// idOf finds the id of a request that is wrong otherwise.
func idOf(line []byte) json.RawMessage {
	var only struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal(line, &only) // no object, no id
	return only.ID
}

// marshal is JSON without HTML escapes: answers hold < and >.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
