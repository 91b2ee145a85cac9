package flow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBalance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, wrong string
		want        Balance
	}{
		{text: "", want: Balance{}},
		{text: "random", want: Balance{Strategy: Random}},
		{text: " round_robin , spark = weighted,gpu=random", want: Balance{Strategy: RoundRobin, Groups: map[string]Strategy{"spark": Weighted, "gpu": Random}}},
		{text: "spark=weighted", want: Balance{Groups: map[string]Strategy{"spark": Weighted}}},
		{text: "best", wrong: `"best" is no strategy; there are least_loaded, random, round_robin, weighted`},
		{text: "spark=best", wrong: `"best" is no strategy`},
		{text: "=random", wrong: "names no worker group"},
		{text: "random,weighted", wrong: "one strategy for all"},
		{text: "a=random,a=weighted", wrong: `"a" has two strategies`},
	} {
		got, err := ParseBalance(c.text)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q: %v; want %s", c.text, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", c.text, diff)
		}
	}
	b := Balance{Groups: map[string]Strategy{"spark": Weighted}}
	if b.Of("spark") != Weighted || b.Of("default") != LeastLoaded {
		t.Errorf("%s for spark, %s for default", b.Of("spark"), b.Of("default"))
	}
}
