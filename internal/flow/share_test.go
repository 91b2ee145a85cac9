package flow

import "testing"

func TestParseShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		of   int
		want float64
		bad  bool
	}{
		{text: "", of: 10},
		{text: "0", of: 10},
		{text: "3", of: 10, want: 3},
		{text: " 20% ", of: 10, want: 2},
		{text: "12.5%", of: 8, want: 1},
		{text: "100%", of: 7, want: 7},
		{text: "10%", of: 0},
		{text: "1.5", of: 10, bad: true},
		{text: "101%", of: 10, bad: true},
		{text: "-1", of: 10, bad: true},
		{text: "many", of: 10, bad: true},
		{text: "NaN", of: 10, bad: true},
		{text: "NaN%", of: 10, bad: true},
		{text: "%", of: 10, bad: true},
		{text: "1e99", of: 10, bad: true},
	} {
		got, err := ParseShare(c.text, c.of)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q of %d: %v, %v", c.text, c.of, got, err)
		}
	}
}

func TestCutItem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"a[0]": 0, "a[12]": 12, "a[1][2]": 2} {
		task, index, ok := CutItem(name)
		if !ok || index != want || ItemName(task, index) != name {
			t.Errorf("%s: %q %d %t", name, task, index, ok)
		}
	}
	for _, name := range []string{"", "a", "[1]", "a[]", "a[-1]", "a[01]", "a[1", "a[1]b", "a[+1]", "a[99999999999999999999]"} {
		if task, index, ok := CutItem(name); ok {
			t.Errorf("%s: %q %d", name, task, index)
		}
	}
}
