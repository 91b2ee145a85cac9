// Shares of a number: so many, or so many of a hundred.

package flow

import (
	"strconv"
	"strings"
)

// ParseShare reads how many of a number may be something: 3, or 10% of them; "" is none.
func ParseShare(text string, of int) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "null" {
		return 0, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(digits, 64)
	whole := n == float64(int64(n))
	if err != nil || n < 0 || n > 1e9 || n != n || percent && n > 100 || !percent && !whole {
		return 0, Errorf(CodeBadRequest, "", "%q is neither a number such as 3 nor a share such as 10%%", text)
	}
	if percent {
		return n * float64(of) / 100, nil
	}
	return n, nil
}
