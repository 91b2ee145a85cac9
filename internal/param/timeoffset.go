// Offsets and arguments of time placeholders.

package param

import "strings"

// maxDays bounds every step (days, months or weeks alike): more than the years 1 to 9999 hold.
const maxDays = 4_000_000

// parseOffset computes what stands behind the sign of a format. Without a
// slash it counts calendar days. With one it is a fraction of days, counted in
// minutes that really pass: 1440*(a)/b/c, from left to right, in integers.
func parseOffset(text string) (timeOp, int, error) {
	slash := strings.IndexByte(text, '/')
	if slash < 0 {
		v, err := evalInt(text)
		if err != nil {
			return 0, 0, err
		}
		n, err := bounded(v, maxDays)
		return opDays, n, err
	}
	const lead = "1440*("
	v, err := evalInt(lead + text[:slash] + ")" + text[slash:])
	if err != nil {
		e := *err.(*Error) //nolint:errorlint // evalInt returns nothing else
		e.Offset -= len(lead)
		if e.Offset > slash {
			e.Offset--
		}
		e.Offset = min(max(e.Offset, 0), len(text))
		return 0, 0, &e
	}
	n, err := bounded(v, maxDays*1440)
	return opMinutes, n, err
}

func bounded(v int64, most int64) (int, error) {
	if v < -most || v > most {
		return 0, errorAt(CodePlaceholder, 0, "an offset of %d is beyond the years 1 to 9999", v)
	}
	return int(v), nil
}

// splitArgs cuts at the commas outside quotes.
func splitArgs(text string) []string {
	var list []string
	start, quoted := 0, false
	for i := range len(text) {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			list = append(list, text[start:i])
			start = i + 1
		}
	}
	return append(list, text[start:])
}

// lastSign finds the last c outside quotes and brackets, -1 when there is none.
func lastSign(text string, c byte) int {
	at, depth, quoted := -1, 0, false
	for i := range len(text) {
		switch b := text[i]; {
		case b == '\'':
			quoted = !quoted
		case quoted:
		case b == '(':
			depth++
		case b == ')':
			depth = max(depth-1, 0)
		case b == c && depth == 0:
			at = i
		}
	}
	return at
}
