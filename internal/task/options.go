// Reading options: an attempt's `with` turned into Go values, by the schema of its type.

package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"baton/internal/flow"
)

// CauseOptions is the cause of an attempt whose options, once rendered, are not what they should
// be.
const CauseOptions = "options"

// Options reads one set of options. Defaults come from the schema. The first value that is not of
// its kind is remembered and told by Err, so that a type reads all it needs and asks once.
type Options struct {
	schema Schema
	given  map[string]json.RawMessage
	err    error
}

// Read prepares options for reading. Asking for a name the schema lacks is a mistake of the
// program and panics.
func (s Schema) Read(options json.RawMessage) *Options {
	o := &Options{schema: s}
	if len(options) > 0 {
		if err := json.Unmarshal(options, &o.given); err != nil {
			o.err = &Failure{Cause: CauseOptions, Message: "options are not a map", Err: err}
		}
	}
	return o
}

// Err returns what was wrong with the values read so far.
func (o *Options) Err() error { return o.err }

// Has tells whether an option was given a value; null is none.
func (o *Options) Has(name string) bool {
	raw, given := o.given[name]
	return given && !bytes.Equal(raw, []byte("null"))
}

// Templated tells whether an option still holds a reference, so that its value is not known yet.
func (o *Options) Templated(name string) bool {
	raw := o.given[name]
	return bytes.Contains(raw, []byte("${")) || bytes.Contains(raw, []byte("$["))
}

// Raw returns the value as it was written, nil for none.
func (o *Options) Raw(name string) json.RawMessage {
	o.option(name)
	if !o.Has(name) {
		return nil
	}
	return o.given[name]
}

// Text returns a text; numbers and booleans are taken as they were written.
func (o *Options) Text(name string) string {
	option := o.option(name)
	if !o.Has(name) {
		return option.Default
	}
	text, ok := scalarText(o.given[name])
	if !ok {
		o.refuse(name, "a text")
	}
	return text
}

// Integer returns a whole number, written as a number or as a text.
func (o *Options) Integer(name string) int64 {
	text := o.Text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		o.refuse(name, "a whole number")
	}
	return n
}

// Bool returns a boolean, written as one or as a text.
func (o *Options) Bool(name string) bool {
	switch text := o.Text(name); text {
	case "true":
		return true
	case "false", "":
		return false
	default:
		o.refuse(name, "true or false")
		return false
	}
}

// Duration returns a duration, 0 when there is none.
func (o *Options) Duration(name string) time.Duration {
	text := o.Text(name)
	if text == "" {
		return 0
	}
	d, err := flow.ParseDuration(text)
	if err != nil {
		o.refuse(name, "a duration such as 30s")
	}
	return d.Std()
}

// Texts returns a list of texts; a single text is a list of one.
func (o *Options) Texts(name string) []string {
	o.option(name)
	if !o.Has(name) {
		return nil
	}
	if text, ok := scalarText(o.given[name]); ok {
		return []string{text}
	}
	var items []json.RawMessage
	if err := json.Unmarshal(o.given[name], &items); err != nil {
		o.refuse(name, "a list of texts")
		return nil
	}
	out := make([]string, len(items))
	for i, raw := range items {
		text, ok := scalarText(raw)
		if !ok {
			o.refuse(name, "a list of texts")
		}
		out[i] = text
	}
	return out
}

// TextMap returns a map of texts.
func (o *Options) TextMap(name string) map[string]string {
	o.option(name)
	if !o.Has(name) {
		return nil
	}
	var items map[string]json.RawMessage
	if err := json.Unmarshal(o.given[name], &items); err != nil {
		o.refuse(name, "a map of texts")
		return nil
	}
	out := make(map[string]string, len(items))
	for k, raw := range items {
		text, ok := scalarText(raw)
		if !ok {
			o.refuse(name, "a map of texts")
		}
		out[k] = text
	}
	return out
}

func (o *Options) option(name string) Option {
	option, known := o.schema.Option(name)
	if !known {
		panic("task: no option " + name + " in the schema")
	}
	return option
}

func (o *Options) refuse(name, want string) {
	if o.err != nil {
		return
	}
	found := shorten(o.given[name])
	if option, _ := o.schema.Option(name); option.Secret {
		found = "something else"
	}
	o.err = &Failure{Cause: CauseOptions, Message: fmt.Sprintf("option %q: expected %s, found %s", name, want, found)}
}

// scalarText returns a JSON text, number or boolean as a person would write it. Numbers keep
// their digits: 3.10 stays 3.10.
func scalarText(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case '{', '[', 'n':
		return "", false
	default:
		return string(raw), true
	}
}
