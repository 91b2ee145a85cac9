package param

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEvalInt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "007": 7, " 1 + 2 ": 3, "1+2*3": 7, "(1+2)*3": 9, "7/2": 3, "-7/2": -3, "-7/-2": 3, "2*-3+4": -2, "-3+5": 2,
		"--1": 1, "+-+1": -1, "10-3-2": 5, "100/10/2": 5, "60*24*(1)/24/60": 1, "9223372036854775807": 9223372036854775807,
	} {
		if got, err := evalInt(text); got != want || err != nil {
			t.Errorf("%s = %d, %v", text, got, err)
		}
	}
	for text, offset := range map[string]int{
		"": 0, " ": 1, "x": 0, "1+": 2, "1 2": 2, "(1": 2, "1)": 1, "1/0": 1, "1/(2-2)": 1, "9223372036854775808": 0,
		"9223372036854775807+1": 19, "3037000500*3037000500": 10, "-9223372036854775807-2": 20, "1.5": 1, "１": 0,
		strings.Repeat("(", 200): 64,
	} {
		_, err := evalInt(text)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodePlaceholder || e.Offset != offset {
			t.Errorf("%.30s: %#v, want offset %d", text, err, offset)
		}
	}
}

// Any expression gives what arbitrary precision gives, or is refused.
func TestEvalIntProperty(t *testing.T) {
	t.Parallel()
	var tree func(t *rapid.T, depth int) (string, *big.Int)
	tree = func(t *rapid.T, depth int) (string, *big.Int) {
		if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
			n := rapid.Int64Range(0, 1<<62).Draw(t, "n") >> rapid.IntRange(0, 62).Draw(t, "shift")
			return fmt.Sprint(n), big.NewInt(n)
		}
		l, lv := tree(t, depth-1)
		r, rv := tree(t, depth-1)
		op := rapid.SampledFrom([]string{"+", "-", "*", "/"}).Draw(t, "op")
		var v *big.Int
		switch {
		case lv == nil || rv == nil || op == "/" && rv.Sign() == 0:
			return "(" + l + ")" + op + "(" + r + ")", nil
		case op == "+":
			v = new(big.Int).Add(lv, rv)
		case op == "-":
			v = new(big.Int).Sub(lv, rv)
		case op == "*":
			v = new(big.Int).Mul(lv, rv)
		default:
			v = new(big.Int).Quo(lv, rv)
		}
		if !v.IsInt64() {
			v = nil
		}
		return "(" + l + ")" + op + "(" + r + ")", v
	}
	rapid.Check(t, func(t *rapid.T) {
		text, want := tree(t, 4)
		got, err := evalInt(text)
		if (err == nil) != (want != nil) || err == nil && got != want.Int64() {
			t.Fatalf("%s = %d, %v; want %v", text, got, err, want)
		}
	})
}
