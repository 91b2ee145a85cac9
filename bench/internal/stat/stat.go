// Package stat condenses samples: medians, percentiles, ratios of pairs.
//
// It must not know what is measured.
package stat

import (
	"math"
	"slices"
)

// Median is the middle of xs, or the mean of the two in the middle; NaN for none.
func Median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	n := len(s)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// Percentile is the smallest sample that at least the share p of all samples does not exceed
// (nearest rank): Percentile(xs, 0.99) of 100 samples is the 99th. NaN for none.
func Percentile(xs []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if len(s) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(p*float64(len(s)) - 1e-9))
	return s[min(max(rank, 1), len(s))-1]
}

// Ratio is the median of the ratios of pairs: what was measured in one round is compared with
// nothing but the same round. A pair without both numbers, or over zero, does not count; NaN when
// none does.
func Ratio(over, under map[int]float64) float64 {
	var ratios []float64
	for round, a := range over {
		b, ok := under[round]
		if ok && b != 0 && !math.IsNaN(a) && !math.IsNaN(b) {
			ratios = append(ratios, a/b)
		}
	}
	return Median(ratios)
}
