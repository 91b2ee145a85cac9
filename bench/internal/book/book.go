// Package book keeps what was measured: series of numbers, one a round, and what could not be had.
//
// It must not know what the numbers mean.
package book

import (
	"maps"
	"math"
	"slices"

	"baton/bench/internal/stat"
)

// Book is not safe for concurrent use: a bench does one thing at a time.
type Book struct {
	Series  map[string]map[int]float64 `json:"series"`
	Missing map[string]string          `json:"missing"` // who was not measured, and why
	Notes   []string                   `json:"notes"`
	Faults  []string                   `json:"faults"` // of the product
}

// New is an empty book.
func New() *Book { return &Book{Series: map[string]map[int]float64{}, Missing: map[string]string{}} }

// Add writes a number down. What is no number, such as a percentile of nothing, was not measured.
func (b *Book) Add(round int, name string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	if b.Series[name] == nil {
		b.Series[name] = map[int]float64{}
	}
	b.Series[name][round] = value
}

// Has tells whether a series was measured.
func (b *Book) Has(name string) bool { return len(b.Series[name]) > 0 }

// Median is that of a series; NaN if it was not measured.
func (b *Book) Median(name string) float64 {
	return stat.Median(slices.Collect(maps.Values(b.Series[name])))
}

// Range is the least and the greatest of a series; NaN if it was not measured.
func (b *Book) Range(name string) (least, greatest float64) {
	v := slices.Collect(maps.Values(b.Series[name]))
	return stat.Percentile(v, 0), stat.Percentile(v, 1)
}

// Ratio is the median of the ratios within rounds.
func (b *Book) Ratio(over, under string) float64 { return stat.Ratio(b.Series[over], b.Series[under]) }
