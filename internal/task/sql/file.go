// A result in a file: CSV, a JSON list, or one JSON object a line.

package sql

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"baton/internal/task"
)

type format string

const (
	formatCSV   format = ".csv"
	formatJSON  format = ".json"
	formatLines format = ".jsonl"
)

// formatOf reads the format off the name.
func formatOf(path string) (format, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q must be an absolute path: the work folder of a task is removed when it ends", path)
	}
	switch f := format(strings.ToLower(filepath.Ext(path))); f {
	case formatCSV, formatJSON, formatLines:
		return f, nil
	default:
		return "", fmt.Errorf("%q must end in .csv, .json or .jsonl", path)
	}
}

// resultFile is written beside its place and moved there at the end, so that nobody reads half of
// it and an attempt that was given up cannot mix its rows with its successor's.
type resultFile struct {
	path, part string
	format     format
	columns    []string
	rows       int64
	file       *os.File
	w          *bufio.Writer
	line       bytes.Buffer
}

func createFile(path string, token int64) (*resultFile, error) {
	format, err := formatOf(path)
	if err != nil {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: "save_as: " + err.Error()}
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &task.Failure{Cause: causeResult, Message: "save_as: " + path + " is not a plain file"}
	}
	f := &resultFile{path: path, format: format}
	f.part = filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.part", filepath.Base(path), token))
	if err := os.Remove(f.part); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a crash
		return nil, &task.Failure{Cause: causeResult, Message: "save_as", Err: err}
	}
	f.file, err = os.OpenFile(f.part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644) //nolint:gosec // other programs of the worker are to read it; umask applies
	if err != nil {
		return nil, &task.Failure{Cause: causeResult, Message: "save_as", Err: err}
	}
	f.w = bufio.NewWriterSize(f.file, 64<<10)
	return f, nil
}

func (f *resultFile) begin(columns []string) error {
	if err := f.file.Truncate(0); err != nil {
		return f.failure(err)
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return f.failure(err)
	}
	f.w.Reset(f.file)
	f.columns, f.rows = columns, 0
	switch f.format {
	case formatCSV:
		f.line.Reset()
		for i, name := range columns {
			if i > 0 {
				f.line.WriteByte(',')
			}
			writeCSV(&f.line, textOf(name))
		}
		f.line.WriteString("\r\n")
		_, err := f.w.Write(f.line.Bytes())
		return f.failure(err)
	case formatJSON:
		return f.failure(f.w.WriteByte('['))
	case formatLines:
	}
	return nil
}

func (f *resultFile) row(values []value) error {
	f.line.Reset()
	switch f.format {
	case formatCSV:
		for i, v := range values {
			if i > 0 {
				f.line.WriteByte(',')
			}
			writeCSV(&f.line, v)
		}
		f.line.WriteString("\r\n")
	case formatJSON:
		if f.rows > 0 {
			f.line.WriteByte(',')
		}
		f.line.WriteByte('\n')
		writeObject(&f.line, f.columns, values)
	case formatLines:
		writeObject(&f.line, f.columns, values)
		f.line.WriteByte('\n')
	}
	f.rows++
	_, err := f.w.Write(f.line.Bytes())
	return f.failure(err)
}

// writeCSV follows RFC 4180. NULL is an empty field; an empty text is quoted, so that the two
// differ, as PostgreSQL's COPY does.
func writeCSV(b *bytes.Buffer, v value) {
	if v.kind == null {
		return
	}
	if v.text != "" && !strings.ContainsAny(v.text, ",\"\r\n") && v.text[0] != ' ' && v.text[len(v.text)-1] != ' ' {
		b.WriteString(v.text)
		return
	}
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(v.text, `"`, `""`))
	b.WriteByte('"')
}

func (f *resultFile) complete() error {
	if f.format == formatJSON {
		if _, err := f.w.WriteString("\n]\n"); err != nil {
			return f.failure(err)
		}
	}
	if err := f.w.Flush(); err != nil {
		return f.failure(err)
	}
	return f.failure(f.file.Sync())
}

func (f *resultFile) publish() error {
	if err := os.Rename(f.part, f.path); err != nil {
		return err
	}
	f.part = ""
	return nil
}

func (f *resultFile) discard() {
	f.file.Close()
	if f.part != "" {
		os.Remove(f.part) //nolint:errcheck // the next attempt removes it
	}
}

func (f *resultFile) failure(err error) error {
	if err == nil {
		return nil
	}
	return &task.Failure{Cause: causeResult, Message: "save_as", Err: err}
}
