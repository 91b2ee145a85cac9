package cli

import "testing"

func TestParseSize(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{"1000": 1000, "64MiB": 64 << 20, "1g": 1 << 30, "1.5 GB": 3 << 29, "10k": 10 << 10, "2T": 2 << 40, "7b": 7} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "0", "0.5", "1x", "1ki1", "9999999T", "NaN", "Inf", "1e30"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q is taken for %d", s, got)
		}
	}
}
