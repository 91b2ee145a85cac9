// Server-sent events, read.

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"baton/internal/api"
	"baton/internal/flow"
)

// maxEvent bounds one event: a run with ten thousand tasks is told in one.
const maxEvent = 32 << 20

// errStop ends a stream from within.
var errStop = errors.New("stop reading")

// events reads a stream until it ends. handle returns errStop to end it well.
func (c *client) events(ctx context.Context, r request, handle func(name string, data []byte) error) error {
	r.method = http.MethodGet
	r.header = map[string]string{"Accept": "text/event-stream"}
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = readEvents(res.Body, func(name string, data []byte) error {
		if name != "failed" {
			return handle(name, data)
		}
		var p api.Problem
		if err := json.Unmarshal(data, &p); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		return &flow.Error{Code: p.Code, Message: p.Detail, Field: p.Field}
	})
	switch {
	case errors.Is(err, errStop):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return err
	}
}

// readEvents takes a stream apart. A stream that ends without having been stopped is
// io.ErrUnexpectedEOF.
func readEvents(r io.Reader, handle func(name string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	name, data := "", []byte(nil)
	for lines.Scan() {
		line := lines.Bytes()
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0:
			if data != nil {
				if err := handle(name, data); err != nil {
					return err
				}
			}
			name, data = "", nil
		case string(field) == "event":
			name = string(value)
		case string(field) == "data":
			data = append(data, value...)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
