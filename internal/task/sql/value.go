// Values of rows, faithful to the database: a number that a JSON number cannot hold is a text,
// dates and times are the text the database writes, bytes are base64.

package sql

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"baton/internal/flow"
	"baton/internal/task"
)

type valueKind uint8

const (
	null   valueKind = iota
	text             // a text
	number           // a number in decimal digits, or NaN or Infinity
	raw              // JSON: true, false, or a value of a JSON column
)

// value is one field of a row.
type value struct {
	kind valueKind
	text string // as a CSV file holds it
}

func textOf(s string) value { return value{text, flow.Text(s, math.MaxInt)} }

func bytesOf(b []byte) value { return value{text, base64.StdEncoding.EncodeToString(b)} }

func boolOf(b bool) value { return value{raw, strconv.FormatBool(b)} }

// jsonOf is for columns of a JSON type. A NUL, which no store takes inside JSON, makes it a text.
func jsonOf(s string) value {
	if !json.Valid([]byte(s)) || strings.Contains(s, `\u0000`) {
		return textOf(s)
	}
	return value{raw, s}
}

func (v value) json() json.RawMessage {
	switch v.kind {
	case text:
		return task.TextValue(v.text)
	case number:
		return task.NumberValue(v.text)
	case raw:
		return json.RawMessage(v.text)
	case null:
	}
	return json.RawMessage("null")
}

// driverValue is for what database/sql hands out.
func driverValue(v any) value {
	switch v := v.(type) {
	case nil:
		return value{}
	case int64:
		return value{number, strconv.FormatInt(v, 10)}
	case uint64:
		return value{number, strconv.FormatUint(v, 10)}
	case float64:
		return value{number, floatText(v, 64)}
	case float32:
		return value{number, floatText(float64(v), 32)}
	case bool:
		return boolOf(v)
	case string:
		return textOf(v)
	case []byte:
		return bytesOf(v)
	case time.Time:
		return textOf(v.Format(time.RFC3339Nano))
	default:
		return textOf(fmt.Sprint(v))
	}
}

func floatText(f float64, bits int) string {
	var s string
	if err := json.Unmarshal(task.FloatValue(f, bits), &s); err == nil {
		return s // NaN and the infinities
	}
	return string(task.FloatValue(f, bits))
}
