// The grammar inside $[…]: functions, formats and offsets, compiled.

package param

import "strings"

type timeOp uint8

const (
	opPlain      timeOp = iota // fmt
	opDays                     // fmt ± days
	opMinutes                  // fmt ± days/b/c, in minutes
	opAddMonths                // add_months(fmt, months)
	opMonthBegin               // month_begin(fmt, days)
	opMonthEnd                 // month_end(fmt, days)
	opWeekBegin                // week_begin(fmt, days)
	opWeekEnd                  // week_end(fmt, days)
	opMonthFirst               // month_first_day(fmt[, months])
	opMonthLast                // month_last_day(fmt[, months])
	opWeekFirst                // week_first_day(fmt[, weeks])
	opWeekLast                 // week_last_day(fmt[, weeks])
	opYearWeek                 // year_week(fmt[, first day])
)

// timeFunc is one function of the grammar: how many numbers follow the format.
type timeFunc struct {
	op          timeOp
	least, most int
}

// last_day and this_day are one operation with a fixed number of days; see parseFunction.
var timeFuncs = map[string]timeFunc{
	"add_months":      {opAddMonths, 1, 1},
	"month_begin":     {opMonthBegin, 1, 1},
	"month_end":       {opMonthEnd, 1, 1},
	"week_begin":      {opWeekBegin, 1, 1},
	"week_end":        {opWeekEnd, 1, 1},
	"month_first_day": {opMonthFirst, 0, 1},
	"month_last_day":  {opMonthLast, 0, 1},
	"week_first_day":  {opWeekFirst, 0, 1},
	"week_last_day":   {opWeekLast, 0, 1},
	"this_day":        {opPlain, 0, 0},
	"last_day":        {opDays, 0, 0},
	"year_week":       {opYearWeek, 0, 1},
	"timestamp":       {}, // wraps the others
}

// TimeExpr is the compiled inside of a $[…]. The zero value is not valid; see [ParseTime].
type TimeExpr struct {
	layout layout
	n      int // days, minutes, months, weeks or the first day of the week, by op
	op     timeOp
	bare   bool // a format without a function around it
	stamp  bool // print Unix seconds instead
	dash   bool // year_week with a hyphen
}

// ParseTime compiles the inside of a $[…], for instance "yyyyMMdd-1" or
// "add_months(yyyyMM,-1)". The error, of code bad_placeholder, means that the
// text is not of the grammar; its offset counts in expr.
func ParseTime(expr string) (TimeExpr, error) {
	if inner, at, ok := strings.Cut(expr, "("); ok && inner == "timestamp" {
		if !strings.HasSuffix(at, ")") {
			return TimeExpr{}, trailing(expr)
		}
		const skip = len("timestamp(")
		e, err := parseSimple(at[:len(at)-1])
		if err != nil {
			return TimeExpr{}, shift(err, skip)
		}
		if e.op == opYearWeek || e.layout.digits() != 14 {
			return TimeExpr{}, errorAt(CodePlaceholder, skip, "timestamp(…) needs a format of 14 digits; write timestamp(yyyyMMddHHmmss)")
		}
		e.stamp, e.bare = true, false
		return e, nil
	}
	return parseSimple(expr)
}

// parseSimple parses anything but timestamp(…).
func parseSimple(expr string) (TimeExpr, error) {
	if name, rest, ok := strings.Cut(expr, "("); ok {
		if f, known := timeFuncs[name]; known && name != "timestamp" {
			if !strings.HasSuffix(rest, ")") {
				return TimeExpr{}, trailing(expr)
			}
			e, err := parseFunction(name, f, rest[:len(rest)-1])
			return e, shift(err, len(name)+1)
		}
	}
	e, err := parseFormat(expr)
	if name, _, ok := strings.Cut(expr, "("); err != nil && ok && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == "" {
		names := make([]string, 0, len(timeFuncs))
		for f := range timeFuncs {
			names = append(names, f)
		}
		return e, errorAt(CodePlaceholder, 0, "%s(…) is no function of time here", name).suggest(name, names)
	}
	return e, err
}

func trailing(expr string) error {
	at := strings.LastIndexByte(expr, ')') + 1
	return errorAt(CodePlaceholder, at, "a function ends with its closing bracket; put the offset inside, as in add_months(yyyyMMdd,-1)")
}

// parseFunction compiles the arguments of a known function.
func parseFunction(name string, f timeFunc, args string) (TimeExpr, error) {
	list := splitArgs(args)
	numbers := len(list) - 1
	if numbers < f.least || numbers > f.most {
		want := [...]string{"only a format", "a format and perhaps one number", "a format and one number"}[f.least+f.most]
		return TimeExpr{}, errorAt(CodePlaceholder, 0, "%s takes %s, separated by a comma", name, want)
	}
	e := TimeExpr{op: f.op}
	if numbers == 1 {
		at := len(list[0]) + 1
		v, err := evalInt(list[1])
		if err != nil {
			return TimeExpr{}, shift(err, at)
		}
		if e.n, err = bounded(v, maxDays); err != nil {
			return TimeExpr{}, shift(err, at)
		}
	}
	switch name {
	case "last_day":
		e.n = -1
	case "year_week":
		return parseYearWeek(e, list[0], numbers == 1)
	}
	var err error
	e.layout, err = parseLayout(list[0])
	return e, err
}

// parseYearWeek needs of the format only whether it has a hyphen: the answer is yyyyWW or yyyy-WW.
func parseYearWeek(e TimeExpr, format string, given bool) (TimeExpr, error) {
	if strings.Trim(format, " ") == "" {
		return e, errorAt(CodePlaceholder, 0, "year_week needs a format; write year_week(yyyy-MM-dd) or year_week(yyyyMMdd)")
	}
	if !given {
		e.n = 1
	}
	if e.n < 1 || e.n > 7 {
		return e, errorAt(CodePlaceholder, len(format)+1, "weeks begin on day 1 (Monday) to 7 (Sunday), not %d", e.n)
	}
	e.dash = strings.Contains(format, "-")
	return e, nil
}

// parseFormat compiles a bare format with its offset. The last + outside
// quotes and brackets is the offset's sign when a digit follows it; only
// without any + the last - may be. So yyyy-MM-dd-1 is yesterday, and yyyy-MM-dd has no offset.
func parseFormat(expr string) (TimeExpr, error) {
	at := lastSign(expr, '+')
	if at < 0 {
		at = lastSign(expr, '-')
	}
	if at < 0 || at+1 < len(expr) && (expr[at+1] < '0' || expr[at+1] > '9') {
		l, err := parseLayout(expr)
		return TimeExpr{layout: l, bare: true}, err
	}
	if at+1 == len(expr) {
		return TimeExpr{}, errorAt(CodePlaceholder, at, "a number of days is missing behind %q", expr[at:])
	}
	e := TimeExpr{bare: true}
	var err error
	if e.layout, err = parseLayout(expr[:at]); err != nil {
		return e, err
	}
	if e.op, e.n, err = parseOffset(expr[at+1:]); err != nil {
		return e, shift(err, at+1)
	}
	if expr[at] == '-' {
		e.n = -e.n
	}
	return e, nil
}
