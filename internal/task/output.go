// Outputs as JSON, without losing what a JSON number cannot hold.

package task

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"baton/internal/flow"
)

// CauseOutputs is the cause of an attempt that hands on more than an instance may hold.
const CauseOutputs = "outputs"

// Most readers of JSON keep numbers as 64-bit floating point: whole numbers are exact up to 2^53,
// decimals up to 15 digits.
const (
	maxExactInteger = 1 << 53
	maxExactDigits  = 15
)

// TextValue returns s as a JSON text every store accepts.
func TextValue(s string) json.RawMessage {
	b, err := json.Marshal(flow.Text(s, math.MaxInt))
	if err != nil { // a string always marshals
		panic(err)
	}
	return b
}

// IntegerValue returns a JSON number, or a text where a number would lose digits.
func IntegerValue(v int64) json.RawMessage {
	if v > maxExactInteger || v < -maxExactInteger {
		return strconv.AppendQuote(nil, strconv.FormatInt(v, 10))
	}
	return strconv.AppendInt(nil, v, 10)
}

// NumberValue returns the number written in s with its digits as they are, or a text where a
// number would lose some: beyond 15 significant digits, or not a number of JSON (NaN, Infinity).
func NumberValue(s string) json.RawMessage {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return IntegerValue(n)
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	digits := strings.TrimLeft(strings.NewReplacer("-", "", "+", "", ".", "").Replace(mantissa), "0")
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || len(digits) > maxExactDigits || (f == 0 && digits != "") || !json.Valid([]byte(s)) {
		return TextValue(s)
	}
	return json.RawMessage(s)
}

// FloatValue returns a floating point number in the fewest digits that give it back; bits is 32
// or 64. NaN and the infinities, which JSON has not, become texts.
func FloatValue(f float64, bits int) json.RawMessage {
	switch {
	case math.IsNaN(f):
		return json.RawMessage(`"NaN"`)
	case math.IsInf(f, 1):
		return json.RawMessage(`"Infinity"`)
	case math.IsInf(f, -1):
		return json.RawMessage(`"-Infinity"`)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(nil, f, format, -1, bits)
}

// Size returns the bytes the outputs take as one JSON object.
func (o Outputs) Size() int {
	size := len("{}")
	for name, value := range o {
		size += len(name) + len(`"":,`) + len(value)
	}
	return size
}

// Check refuses outputs larger than a task may hand on. The remedy ends the message.
func (o Outputs) Check(remedy string) error {
	if size := o.Size(); size > flow.MaxOutputsPerTask {
		return &Failure{Cause: CauseOutputs, Message: fmt.Sprintf("the outputs take %d KiB, a task may hand on %d KiB: %s", (size+1023)>>10, flow.MaxOutputsPerTask>>10, remedy)}
	}
	return nil
}
