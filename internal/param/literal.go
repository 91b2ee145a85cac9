// Between texts and the values that YAML and JSON know.

package param

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// decodeJSON decodes one JSON value; whole numbers become int, others float64.
func decodeJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() || strings.TrimSpace(text[d.InputOffset():]) != "" {
		return nil, errors.New("text behind the JSON value")
	}
	return plainNumbers(v), nil
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.Atoi(v.String()); err == nil {
			return i
		}
		f, _ := v.Float64() // beyond its range: infinite, and larger than anything compared to it
		return f
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	}
	return v
}

// Literal turns a scalar, list or map as a YAML or JSON decoder gives it into
// the text and the type of a parameter. nil is the empty text.
func Literal(v any) (text string, t Type, err error) {
	switch v := v.(type) {
	case nil:
		return "", TypeString, nil
	case string:
		return v, TypeString, nil
	case bool:
		return strconv.FormatBool(v), TypeBoolean, nil
	case int, int64, int32, uint, uint64, uint32:
		return fmt.Sprint(v), TypeInteger, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), TypeFloat, nil
	case time.Time:
		return v.Format(time.RFC3339), TypeTimestamp, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", "", errorAt(CodeBadValue, 0, "a parameter cannot hold a %T; write a scalar, a list or a map with text keys", v)
	}
	if b[0] == '[' {
		return string(b), TypeList, nil
	}
	return string(b), TypeJSON, nil
}
