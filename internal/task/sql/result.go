// The result: the rows of the last statement of `sql` that returns some, as outputs or in a file.

package sql

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"

	"baton/internal/flow"
	"baton/internal/task"
)

// result collects rows. Each begin forgets what was there.
type result struct {
	log     io.Writer
	maxRows int64 // -1: all
	file    *resultFile

	began   bool
	columns []string
	count   int64 // rows the database returned
	changed int64
	first   []value
	list    bytes.Buffer // of `rows`, without the closing bracket
}

func (s *script) newResult(a *task.Attempt) (*result, error) {
	r := &result{log: a.Log, maxRows: s.maxRows}
	if s.saveAs == "" {
		return r, nil
	}
	var err error
	r.file, err = createFile(s.saveAs, a.Token)
	return r, err
}

func (r *result) begin(columns []string) error {
	r.began, r.count, r.first = true, 0, nil
	r.columns = distinct(columns)
	if r.file != nil {
		return r.file.begin(r.columns)
	}
	r.list.Reset()
	r.list.WriteByte('[')
	return nil
}

func (r *result) row(values []value) error {
	r.count++
	if r.maxRows >= 0 && r.count > r.maxRows {
		return nil
	}
	if r.file != nil {
		return r.file.row(values)
	}
	if r.count == 1 {
		r.first = append([]value(nil), values...)
	} else {
		r.list.WriteByte(',')
	}
	writeObject(&r.list, r.columns, values)
	if r.list.Len() > flow.MaxOutputsPerTask {
		return &task.Failure{Cause: task.CauseOutputs, Message: fmt.Sprintf("row %d takes the outputs beyond %d KiB: select less, set `max_rows`, or write the result into a file with `save_as`", r.count, flow.MaxOutputsPerTask>>10)}
	}
	return nil
}

// complete is called when the last statement ran, before the commit: its error undoes everything.
func (r *result) complete() error {
	if r.maxRows >= 0 && r.count > r.maxRows {
		fmt.Fprintf(r.log, "kept %d of %s (max_rows)\n", r.maxRows, plural(r.count, "row")) //nolint:errcheck // a log that cannot be written fails nothing
	}
	if r.file == nil {
		_, err := r.outputs()
		return err
	}
	if !r.began {
		return &task.Failure{Cause: causeResult, Message: "save_as: no statement of `sql` returned rows"}
	}
	return r.file.complete()
}

// publish is called after the commit.
func (r *result) publish() error {
	if r.file == nil {
		return nil
	}
	if err := r.file.publish(); err != nil {
		return &task.Failure{Cause: causeResult, Message: "the statements are committed, but the file could not be put in its place", Err: err}
	}
	return nil
}

// discard removes what was not published.
func (r *result) discard() {
	if r.file != nil {
		r.file.discard()
	}
}

// outputs are `row_count`, `rows` and, of a single row, its columns; a column may take one of the
// two names.
func (r *result) outputs() (task.Outputs, error) {
	if !r.began {
		return task.Outputs{"row_count": task.IntegerValue(r.changed)}, nil
	}
	out := task.Outputs{"row_count": task.IntegerValue(r.count)}
	if r.file != nil {
		out["file"] = task.TextValue(r.file.path)
		return out, nil
	}
	out["rows"] = append(bytes.Clone(r.list.Bytes()), ']')
	if r.count == 1 && r.first != nil {
		for i, name := range r.columns {
			out[name] = r.first[i].json()
		}
	}
	return out, out.Check("select less, set `max_rows`, or write the result into a file with `save_as`")
}

// writeObject keeps the columns in their order, which a Go map would not.
func writeObject(b *bytes.Buffer, columns []string, values []value) {
	b.WriteByte('{')
	for i, name := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(task.TextValue(name))
		b.WriteByte(':')
		b.Write(values[i].json())
	}
	b.WriteByte('}')
}

// distinct numbers columns of the same name: id, id_2.
func distinct(columns []string) []string {
	out := make([]string, len(columns))
	taken := make(map[string]bool, len(columns))
	columns = slices.Clone(columns)
	for i, name := range columns {
		columns[i] = flow.Text(name, flow.MaxReason)
		taken[columns[i]] = true
	}
	seen := make(map[string]bool, len(columns))
	for i, name := range columns {
		unique := name
		for n := 2; seen[unique]; n++ {
			if next := name + "_" + strconv.Itoa(n); !taken[next] {
				unique = next
			}
		}
		seen[unique] = true
		taken[unique] = true
		out[i] = unique
	}
	return out
}
