package task

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0", "-0.0": "-0.0", "5": "5", "12.30": "12.30", "1e5": "1e5", "1E+20": "1E+20", "-0.000001": "-0.000001", "999999999999999": "999999999999999",
		"9007199254740992": "9007199254740992", "9007199254740993": `"9007199254740993"`, "-9007199254740993": `"-9007199254740993"`,
		"18446744073709551615": `"18446744073709551615"`, "123456789.1234567": `"123456789.1234567"`, "0.00012345678901234": "0.00012345678901234",
		"NaN": `"NaN"`, "Infinity": `"Infinity"`, "1e400": `"1e400"`, "1e-400": `"1e-400"`, "0x10": `"0x10"`, "": `""`, ".5": `".5"`, "007": "7", "1_000": `"1_000"`,
	} {
		if got := string(NumberValue(in)); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{0.1: "0.1", 1e20: "100000000000000000000", 1e300: "1e+300", 1e-9: "1e-09", math.NaN(): `"NaN"`, math.Inf(-1): `"-Infinity"`, math.Inf(1): `"Infinity"`} {
		if got := string(FloatValue(in, 64)); got != want {
			t.Errorf("%v: got %s, want %s", in, got, want)
		}
	}
	if got := string(FloatValue(float64(float32(0.1)), 32)); got != "0.1" {
		t.Errorf("got %s", got)
	}
	if got := string(TextValue("a\x00\xff<\"")); got != `"a`+"\uFFFD\uFFFD"+`\u003c\""` {
		t.Errorf("got %s", got)
	}
}

func TestOutputsCheck(t *testing.T) {
	t.Parallel()
	if err := (Outputs{"a": TextValue(strings.Repeat("x", 60_000))}).Check("select less"); err != nil {
		t.Error(err)
	}
	err := Outputs{"a": TextValue(strings.Repeat("x", 40_000)), "b": TextValue(strings.Repeat("x", 40_000))}.Check("select less")
	var f *Failure
	if !errors.As(err, &f) || f.Cause != CauseOutputs || !strings.HasSuffix(err.Error(), ": select less") {
		t.Errorf("got %v", err)
	}
}

func TestFindProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"PATH": "relative:" + "/nonexistent:" + dir}
	if got, ok := FindProgram("tool", env); !ok || got != filepath.Join(dir, "tool") {
		t.Errorf("got %s, %v", got, ok)
	}
	for _, name := range []string{"data", "nothing", filepath.Join(dir, "data"), dir} {
		if got, ok := FindProgram(name, env); ok {
			t.Errorf("%s: found %s", name, got)
		}
	}
	if _, ok := FindProgram(filepath.Join(dir, "tool"), nil); !ok {
		t.Error("a path is taken as it is")
	}
	if _, ok := FindProgram("sh", nil); !ok {
		t.Error("the worker's own search path counts when the attempt has none")
	}
}
