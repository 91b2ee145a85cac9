// From the text of an expression to its bit sets.

package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// maxText bounds the bytes of an expression.
const maxText = 1024

// expression is a compiled cron expression: which local times fit.
type expression struct {
	seconds, minutes, hours uint64
	days                    days
	months                  uint64 // bit 1 is january
	years                   set    // bit 0 is MinYear
	elapsed                 bool   // the hour field is * or holds a step
}

// macros stand for expressions of the Quartz dialect, and are the same in both.
var macros = []struct{ name, expr string }{
	{"@yearly", "0 0 0 1 1 ?"},
	{"@annually", "0 0 0 1 1 ?"},
	{"@monthly", "0 0 0 1 * ?"},
	{"@weekly", "0 0 0 ? * 1"},
	{"@daily", "0 0 0 * * ?"},
	{"@midnight", "0 0 0 * * ?"},
	{"@hourly", "0 0 * * * ?"},
}

func parse(text string, dialect Dialect) (*expression, error) {
	if len(text) > maxText {
		return nil, errorf("the expression has %d bytes; at most %d are allowed", len(text), maxText)
	}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "@") {
		expanded, err := macro(trimmed)
		if err != nil {
			return nil, err
		}
		text, dialect = expanded, Quartz
	}
	for i, r := range text {
		if r >= 0x80 {
			return nil, foreign(text, i, r)
		}
	}
	places, err := split(text, dialect)
	if err != nil {
		return nil, err
	}
	if dialect == Unix {
		return compile(places, unixDays)
	}
	return compile(places, quartzDays)
}

func macro(text string) (string, error) {
	names := make([]string, len(macros))
	for i, m := range macros {
		if strings.EqualFold(m.name, text) {
			return m.expr, nil
		}
		names[i] = m.name
	}
	if strings.HasPrefix(strings.ToLower(text), "@every") {
		return "", errorf("%q is no cron expression; a schedule that repeats a span says every: 15m", text)
	}
	return "", errorf("%q is no macro; there are %s", text, strings.Join(names, ", ")).suggesting(nearest(text, names))
}

// foreign is the error about a character that no expression has; those of a Chinese keyboard look
// like the right ones.
func foreign(text string, at int, r rune) *Error {
	e := errorf("character %d: %q is no part of a cron expression", at+1, r)
	e.Offset = at
	if r > 0xFF00 && r < 0xFF5F {
		e.Message += ": it is full-width"
		return e.instead(string(r - 0xFEE0))
	}
	return e
}

// split cuts an expression into its fields and counts them.
func split(text string, dialect Dialect) ([]place, error) {
	var out []place
	for at := 0; at < len(text); {
		if isSpace(text[at]) {
			at++
			continue
		}
		end := at
		for end < len(text) && !isSpace(text[end]) {
			end++
		}
		out = append(out, place{text: text[at:end], number: len(out) + 1, offset: at})
		at = end
	}
	fields := quartzFields
	if dialect == Unix {
		fields = unixFields
	}
	if n := len(out); n > len(fields) || n < min(len(fields), 6) {
		return nil, miscounted(text, n, dialect)
	}
	for i := range out {
		out[i].field = &fields[i]
		if err := out[i].signs(dialect); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// miscounted names the dialect that an expression was probably meant for; only its author knows.
func miscounted(text string, n int, dialect Dialect) *Error {
	const (
		quartzForm = "second minute hour day-of-month month day-of-week [year]"
		unixForm   = "minute hour day-of-month month day-of-week"
	)
	e := errorf("%q has %s; the quartz dialect has 6 or 7: %s", text, count(n, "field"), quartzForm)
	other := Unix
	if dialect == Unix {
		e, other = errorf("%q has %s; the unix dialect has 5: %s", text, count(n, "field"), unixForm), Quartz
	}
	if other == Unix && n == 5 && strings.ContainsAny(text, "?#") { // no unix expression has these
		e.Message += "; the second is missing"
		return e.suggesting("0 " + text)
	}
	if other == Unix && n == 5 || other == Quartz && (n == 6 || n == 7) {
		e.Message += fmt.Sprintf("; it looks like the %s dialect, which is said by dialect: %[1]s (--dialect %[1]s)", other)
	}
	return e
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// signs refuses what only a day field of Quartz may hold: ? L W #.
func (p place) signs(dialect Dialect) error {
	daySigns := ""
	switch p.name {
	case dayField.name:
		daySigns = "LlWw"
	case quartzWeekday.name:
		daySigns = "Ll" // no name of a day has one
	}
	if at := strings.IndexAny(p.text, "?#"+daySigns); dialect == Unix && at >= 0 {
		return p.errorf(at, "the unix dialect has no %c; write it in the quartz dialect, which is said by dialect: quartz (--dialect quartz)", p.text[at])
	}
	at := strings.IndexByte(p.text, '?')
	switch {
	case at < 0 || p.text == "?" && daySigns != "":
		return nil
	case daySigns == "":
		return p.errorf(at, "? is for the day of month and the day of week only").instead("*")
	}
	return p.errorf(at, "? stands alone; %q mixes it with something else", p.text)
}

// compile reads the fields; those of unix have no second and no year.
func compile(p []place, readDays func(month, week place) (days, error)) (*expression, error) {
	x := &expression{seconds: 1}
	var err error
	read := func(p place) (s set) {
		if err == nil {
			s, err = p.values()
		}
		return s
	}
	if len(p) > len(unixFields) {
		x.seconds = read(p[0])[0]
		p = p[1:]
	}
	x.minutes = read(p[0])[0]
	x.hours = read(p[1])[0]
	if err != nil {
		return nil, err
	}
	if x.days, err = readDays(p[2], p[4]); err != nil {
		return nil, err
	}
	x.months = read(p[3])[0]
	year := place{field: &yearField, text: "*"}
	if len(p) > len(unixFields) {
		year = p[5]
	}
	x.years = read(year)
	x.elapsed = p[1].text == "*" || strings.Contains(p[1].text, "/")
	return x, err
}
