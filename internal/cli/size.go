// Sizes, as settings write them.

package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var sizeUnits = map[string]float64{"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

// parseSize reads a number of bytes with its unit: 64MiB, 1.5g, 1000. Units are of 1024.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kmgtibKMGTIB ")
	unit := strings.ToLower(strings.TrimSpace(s[len(digits):]))
	short := strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i")
	factor, known := sizeUnits[short]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || n < 1 || n*factor > math.MaxInt64/2 || math.IsNaN(n) {
		return 0, fmt.Errorf("%q is not a size; write a number with its unit, such as 64MiB or 1GiB", s)
	}
	return int64(n * factor), nil
}
