// What a scalar means, by the core schema of YAML 1.2.

package spec

import (
	"math/big"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// scalarKind is the type of a scalar. The YAML library still reads some of YAML 1.1 (0777 is octal,
// 1_000 a number), so types are told here and the library's tags are not asked.
type scalarKind uint8

const (
	textScalar scalarKind = iota
	nullScalar
	boolScalar
	intScalar
	floatScalar
)

func kindOf(n *yaml.Node) scalarKind {
	if n.Style&yaml.TaggedStyle != 0 && n.Tag == "!!str" {
		return textScalar
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return textScalar
	}
	return plainKind(n.Value)
}

// plainKind types an unquoted text.
func plainKind(s string) scalarKind {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nullScalar
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolScalar
	}
	if c := s[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return textScalar
	}
	switch {
	case isInt(s):
		return intScalar
	case isFloat(s):
		return floatScalar
	default:
		return textScalar
	}
}

func isInt(s string) bool {
	if rest, ok := strings.CutPrefix(s, "0o"); ok {
		return rest != "" && strings.Trim(rest, "01234567") == ""
	}
	if rest, ok := strings.CutPrefix(s, "0x"); ok {
		return rest != "" && strings.Trim(rest, "0123456789abcdefABCDEF") == ""
	}
	return digits(unsigned(s)) == len(unsigned(s)) && unsigned(s) != ""
}

// isFloat follows [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?. Infinity and
// NaN are texts to us: JSON has neither.
func isFloat(s string) bool {
	s = unsigned(s)
	whole := digits(s)
	s = s[whole:]
	if strings.HasPrefix(s, ".") {
		fraction := digits(s[1:])
		if whole == 0 && fraction == 0 {
			return false
		}
		s = s[1+fraction:]
	} else if whole == 0 {
		return false
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = unsigned(s[1:])
	return s != "" && digits(s) == len(s)
}

func unsigned(s string) string {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[1:]
	}
	return s
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// jsonNumber writes a number scalar as JSON takes it: 0x1F is 31, 007 is 7, .5 is 0.5; what is
// JSON already stays as it was written.
func jsonNumber(s string) string {
	if isInt(s) {
		if strings.HasPrefix(s, "0o") || strings.HasPrefix(s, "0x") {
			if n, ok := new(big.Int).SetString(s, 0); ok {
				return n.String()
			}
		}
		return sign(s) + trimZeros(unsigned(s))
	}
	body, exponent := unsigned(s), ""
	if i := strings.IndexAny(body, "eE"); i >= 0 {
		body, exponent = body[:i], body[i:]
	}
	whole, fraction, _ := strings.Cut(body, ".")
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign(s) + trimZeros(whole) + fraction + exponent
}

func sign(s string) string {
	if strings.HasPrefix(s, "-") {
		return "-"
	}
	return ""
}

func trimZeros(s string) string {
	if s = strings.TrimLeft(s, "0"); s == "" {
		return "0"
	}
	return s
}

// integer reads a whole number of the core schema that fits an int.
func integer(n *yaml.Node) (int, bool) {
	if kindOf(n) != intScalar {
		return 0, false
	}
	i, err := strconv.Atoi(jsonNumber(n.Value))
	return i, err == nil
}
