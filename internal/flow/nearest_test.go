package flow_test

import (
	"strings"
	"testing"

	"baton/internal/flow"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	valid := []string{"region", "extract", "每日-订单", "a", "day"}
	for name, want := range map[string]string{
		"regoin": "region", "Region": "region", "reg": "", "每日-定单": "每日-订单", "dya": "day", "b": "a", "xyz": "", "": "", strings.Repeat("x", 300): "",
	} {
		if got := flow.Nearest(name, valid); got != want {
			t.Errorf("flow.Nearest(%.10q) = %q, want %q", name, got, want)
		}
	}
}
