package stat_test

import (
	"math"
	"testing"

	"baton/bench/internal/stat"
)

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		xs   []float64
		want float64
	}{
		{nil, math.NaN()},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{5, 5, 1000, 5, 5}, 5},
	} {
		if got := stat.Median(c.xs); !same(got, c.want) {
			t.Errorf("Median(%v) = %v, want %v", c.xs, got, c.want)
		}
	}
	xs := []float64{3, 1, 2}
	stat.Median(xs)
	if xs[0] != 3 {
		t.Error("Median sorted its argument")
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // 100 … 1
	}
	for _, c := range []struct {
		xs      []float64
		p, want float64
	}{
		{nil, 0.5, math.NaN()},
		{[]float64{7}, 0.99, 7},
		{hundred, 0, 1},
		{hundred, 0.5, 50},
		{hundred, 0.95, 95},
		{hundred, 0.99, 99},
		{hundred, 0.991, 100},
		{hundred, 1, 100},
		{[]float64{1, 2, 3, 4}, 0.5, 2},
		{[]float64{1, 2, 3}, 0.99, 3},
	} {
		if got := stat.Percentile(c.xs, c.p); !same(got, c.want) {
			t.Errorf("Percentile(%d samples, %v) = %v, want %v", len(c.xs), c.p, got, c.want)
		}
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		over, under map[int]float64
		want        float64
	}{
		{"none", nil, nil, math.NaN()},
		{"one pair", map[int]float64{0: 6}, map[int]float64{0: 3}, 2},
		// The machine was slow in round 1 for both: the ratio of medians would be 3, of pairs 2.
		{"by pair", map[int]float64{0: 20, 1: 2, 2: 6}, map[int]float64{0: 10, 1: 1, 2: 2}, 2},
		{"only what was measured in both", map[int]float64{0: 8, 1: 100}, map[int]float64{0: 4, 2: 1}, 2},
		{"over zero", map[int]float64{0: 8, 1: 9}, map[int]float64{0: 0, 1: 3}, 3},
		{"not a number", map[int]float64{0: math.NaN(), 1: 9}, map[int]float64{0: 1, 1: 3}, 3},
	} {
		if got := stat.Ratio(c.over, c.under); !same(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
