package task

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadOptions(t *testing.T) {
	t.Parallel()
	o := every.Read(json.RawMessage(`{"text": "a", "plain": 3.10, "integer": "5", "boolean": "false", "duration": "90s", "texts": {"a": "b", "n": 1.50, "t": true},
		"list": ["x", 2], "tasks": "one", "any": {"k": [1]}, "script": null, "file": "${f}"}`))
	got := []any{
		o.Text("text"), o.Text("plain"), o.Integer("integer"), o.Bool("boolean"), o.Duration("duration"), o.TextMap("texts"), o.Texts("list"), o.Texts("tasks"),
		string(o.Raw("any")), o.Text("script"), o.Has("script"), o.Has("text"), o.Templated("file"), o.Templated("text"),
	}
	want := []any{
		"a", "3.10", int64(5), false, 90 * time.Second,
		map[string]string{"a": "b", "n": "1.50", "t": "true"},
		[]string{"x", "2"},
		[]string{"one"},
		`{"k": [1]}`, "", false, true, true, false,
	}
	if diff := cmp.Diff(want, got); diff != "" || o.Err() != nil {
		t.Errorf("%v\n%s", o.Err(), diff)
	}
	// What is not given has its default.
	o = every.Read(nil)
	got = []any{o.Text("expression"), o.Integer("integer"), o.Bool("boolean"), o.Duration("duration"), o.Integer("password"), len(o.Texts("list")), len(o.TextMap("texts")), o.Raw("any") == nil}
	if diff := cmp.Diff([]any{"status < 400", int64(7), true, time.Minute, int64(0), 0, 0, true}, got); diff != "" || o.Err() != nil {
		t.Errorf("%v\n%s", o.Err(), diff)
	}
}

func TestReadOptionsRefuses(t *testing.T) {
	t.Parallel()
	for options, read := range map[string]func(o *Options){
		`[]`:                   func(*Options) {},
		`{"text": ["a"]}`:      func(o *Options) { o.Text("text") },
		`{"integer": "many"}`:  func(o *Options) { o.Integer("integer") },
		`{"integer": 1.5}`:     func(o *Options) { o.Integer("integer") },
		`{"boolean": 1}`:       func(o *Options) { o.Bool("boolean") },
		`{"duration": 5}`:      func(o *Options) { o.Duration("duration") },
		`{"list": {"a": 1}}`:   func(o *Options) { o.Texts("list") },
		`{"list": [{}]}`:       func(o *Options) { o.Texts("list") },
		`{"texts": [1]}`:       func(o *Options) { o.TextMap("texts") },
		`{"texts": {"a": []}}`: func(o *Options) { o.TextMap("texts") },
		`{"password": "hunter2"}`: func(o *Options) {
			o.Integer("password")
			o.Integer("integer") // a later one does not take the place of the first
		},
	} {
		o := every.Read(json.RawMessage(options))
		read(o)
		var f *Failure
		if !errors.As(o.Err(), &f) || f.Cause != CauseOptions || strings.Contains(o.Err().Error(), "hunter2") {
			t.Errorf("%s: got %v", options, o.Err())
		}
	}
}

func TestUnknownOptionPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	every.Read(nil).Text("nothing")
}
