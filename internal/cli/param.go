// baton param eval: placeholders answered without a server, one or many.

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/flow"
	"baton/internal/param"
)

func (a *app) paramCommand() *cobra.Command {
	return group("param", "Parameters and time placeholders", a.paramEval())
}

// evalRequest is one question; its names are those of the flags.
type evalRequest struct {
	ID       json.RawMessage   `json:"id"`
	Text     string            `json:"text"`
	DataTime string            `json:"data_time"`
	Timezone string            `json:"timezone"`
	Params   map[string]string `json:"params"`
}

type evalAnswer struct {
	ID       json.RawMessage `json:"id,omitempty"`
	Text     string          `json:"text"`
	DataTime string          `json:"data_time"`
	Timezone string          `json:"timezone"`
	Value    string          `json:"value"`
}

type evalFailure struct {
	ID    json.RawMessage `json:"id,omitempty"`
	Error *flow.Error     `json:"error"`
}

// Codes of the pure questions.
const (
	codeBadTimezone flow.Code = "bad_timezone"
	codeBadTime     flow.Code = "bad_time"
)

func (a *app) paramEval() *cobra.Command {
	var q evalRequest
	var params []string
	var bulk bool
	c := &cobra.Command{
		Use:   "eval TEXT --data-time T",
		Short: "Put parameters and time placeholders into a text; needs no server",
		Long:  "Replaces every $[…], and ${…} by -p, for the data time in the zone. With --bulk it reads a JSON object a line from standard input (text, data_time, timezone, params, id) and answers each with a line.",
		Example: `  baton param eval '$[yyyyMMdd-1]' --data-time 2026-03-01T00:00:00Z
  baton param eval 'dt=${day}' -p 'day=$[yyyy-MM-dd]' --data-time 2026-03-01 --timezone Asia/Shanghai`,
		Args: func(cmd *cobra.Command, args []string) error {
			if bulk {
				return noArguments(cmd, args)
			}
			return arguments("TEXT")(cmd, args)
		},
	}
	c.Flags().StringVar(&q.DataTime, "data-time", "", "the moment to evaluate for: RFC 3339, or yyyy-MM-dd[ HH:mm:ss] in the zone")
	c.Flags().StringVar(&q.Timezone, "timezone", "UTC", "IANA zone")
	c.Flags().StringArrayVarP(&params, "param", "p", nil, "parameter k=v, as often as needed")
	c.Flags().BoolVar(&bulk, "bulk", false, "answer JSON lines from standard input")
	c.RunE = action(func(_ context.Context, args []string) error {
		if bulk {
			return evalBulk(a.Stdin, a.Stdout)
		}
		q.Text = args[0]
		var err error
		if q.Params, err = keyValues(params); err != nil {
			return err
		}
		got, err := evalOne(q)
		if err != nil {
			return err
		}
		raw, err := marshal(got)
		if err != nil {
			return err
		}
		return a.print(raw, []string{got.Value}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, got.Value)
			return err
		})
	})
	return c
}

func evalOne(q evalRequest) (evalAnswer, error) {
	if q.Timezone == "" {
		q.Timezone = "UTC"
	}
	zone, err := time.LoadLocation(q.Timezone)
	if err != nil || q.Timezone == "Local" {
		return evalAnswer{}, flow.Errorf(codeBadTimezone, "timezone", "%q is no IANA time zone, such as UTC or Asia/Shanghai", q.Timezone)
	}
	at, err := zonedTime(q.DataTime, zone)
	if err != nil {
		return evalAnswer{}, flow.Errorf(codeBadTime, "data_time", "%s", err)
	}
	value, err := param.Eval(q.Text, at, zone, q.Params)
	if e, ok := errors.AsType[*param.Error](err); ok {
		return evalAnswer{}, &flow.Error{Code: flow.Code(e.Code), Field: "text", Message: e.Error(), Suggestion: e.Suggestion}
	}
	if err != nil {
		return evalAnswer{}, fmt.Errorf("evaluate: %w", err)
	}
	return evalAnswer{ID: q.ID, Text: q.Text, DataTime: at.In(zone).Format(time.RFC3339), Timezone: q.Timezone, Value: value}, nil
}

func zonedTime(text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly, time.DateTime, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	if text == "" {
		return time.Time{}, errors.New("a data time is needed, such as 2026-03-01T00:00:00Z")
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-03-01T02:00:00Z, 2026-03-01 or \"2026-03-01 02:00:00\"", text)
}

// maxBulkLine bounds one question.
const maxBulkLine = 4 << 20

// evalBulk answers every line. Only a line that is not JSON ends it.
func evalBulk(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxBulkLine)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if !json.Valid(line) {
			_ = w.Flush() // what was answered stays answered
			return usagef("line %d is not JSON: %.60q", n, line)
		}
		if err := enc.Encode(evalLine(line)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		_ = w.Flush() // what was answered stays answered
		return usagef("read standard input: %w", err)
	}
	return w.Flush()
}

func evalLine(line []byte) any {
	var q evalRequest
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return evalFailure{ID: idOf(line), Error: flow.Errorf(flow.CodeBadRequest, "", "%s", err)}
	}
	got, err := evalOne(q)
	if err != nil {
		var e *flow.Error
		if !errors.As(err, &e) {
			e = flow.Errorf(flow.CodeInternal, "", "%s", err)
		}
		return evalFailure{ID: q.ID, Error: e}
	}
	return got
}

// idOf finds the id of a request that is wrong otherwise.
func idOf(line []byte) json.RawMessage {
	var only struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal(line, &only) // no object, no id
	return only.ID
}

// marshal is JSON without HTML escapes: answers hold < and >.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
