package param

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForm(t *testing.T) {
	t.Parallel()
	var form Form
	if err := json.Unmarshal([]byte(`{"note": "none", "pieces": {"type": "int", "required": true}, "size": {"enum": ["s", "l"], "default": "s"}, "free": {}}`), &form); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		given map[string]string
		want  map[string]string
		err   string
	}{
		{"defaults", map[string]string{"pieces": "3"}, map[string]string{"pieces": "3", "note": "none", "size": "s"}, ""},
		{"given", map[string]string{"pieces": "3", "size": "l", "note": "", "free": "${x}"}, map[string]string{"pieces": "3", "size": "l", "note": "", "free": "${x}"}, ""},
		{"missing", nil, nil, `"pieces": is required`},
		{"type", map[string]string{"pieces": "few"}, nil, `"pieces"`},
		{"enum", map[string]string{"pieces": "3", "size": "m"}, nil, `"m" is not one of s, l`},
		{"unknown", map[string]string{"pieces": "3", "colour": "red"}, nil, "it has free, note, pieces, size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := form.Fill(c.given)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v, want %s", err, c.err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

func TestFormChecksItself(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"a": {"type": "colour"}}`:              "colour",
		`{"a": {"type": "int", "default": "x"}}`: "x",
		`{"a b": ""}`:                            "name",
	} {
		var form Form
		if err := json.Unmarshal([]byte(raw), &form); err != nil {
			t.Errorf("%s: %v", raw, err)
		} else if err := form.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"a": {"typ": "int"}}`), new(Form)); err == nil {
		t.Error("a key that a field does not have is taken")
	}
	if _, err := Form(nil).Fill(map[string]string{"a": "1"}); err == nil || !strings.Contains(err.Error(), "it has none") {
		t.Error(err)
	}
}
