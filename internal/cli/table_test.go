package cli

import (
	"strings"
	"testing"
)

// Rows that are printed later stand below those of before.
func TestAlignTableGoesOn(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	row := func(texts ...string) []cell {
		var cells []cell
		for _, text := range texts {
			cells = append(cells, cell{text: text})
		}
		return cells
	}
	widths, err := alignTable(&out, [][]cell{row("ID", "STATE", "AGE"), row("1", "每日 succeeded", "2s")}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alignTable(&out, [][]cell{row("100", "failed", "3s")}, widths, false); err != nil {
		t.Fatal(err)
	}
	want := "ID  STATE           AGE\n1   每日 succeeded  2s\n100  failed          3s\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// Free text is cut where a person reads it on a screen, and nowhere else.
func TestFreeTextIsCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", widest+1)
	v := view[string]{columns: []column[string]{{head: "REASON", free: true, cell: func(s string) string { return s }}}}
	if got := v.row(long, look{cut: true})[0].text; displayWidth(got) != widest || !strings.HasSuffix(got, "…") {
		t.Errorf("on a terminal: %q", got)
	}
	if got := v.row(long, look{})[0].text; got != long {
		t.Errorf("elsewhere: %q", got)
	}
}
