// get -w: the rows, then every row that changed.

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"baton/internal/api"
)

const (
	// watchNet is how often a watched list is read when no event says that it changed.
	watchNet = 5 * time.Second
	// watchGap is the least time between two reads, however much happens.
	watchGap = 200 * time.Millisecond
)

// watchList reads a list whenever something changed and prints the rows that are new or different.
func watchList[T any](ctx context.Context, a *app, c *client, r reader[T]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := c.changes(ctx, r.events)
	out := &changing[T]{app: a, view: r.view, seen: map[string]string{}}
	for {
		var page answer[api.List[json.RawMessage]]
		err := c.patiently(ctx, func() (err error) {
			page, err = ask[api.List[json.RawMessage]](ctx, c, r.ask())
			return err
		})
		if err != nil {
			return err
		}
		if err := out.print(page.Value.Items); err != nil {
			return err
		}
		if err := pause(ctx, changed); err != nil {
			return err
		}
	}
}

// pause waits for a change or the net, and never less than the gap.
func pause(ctx context.Context, changed <-chan struct{}) error {
	for _, wait := range []struct {
		least time.Duration
		early <-chan struct{}
	}{{watchGap, nil}, {watchNet, changed}} {
		timer := time.NewTimer(wait.least)
		select {
		case <-timer.C:
		case <-wait.early:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	return nil
}

// changes signals when a stream of events tells something. It follows the stream for as long as
// ctx lives; while there is none the net of the reader remains.
func (c *client) changes(ctx context.Context, r request) <-chan struct{} {
	signal := make(chan struct{}, 1)
	if r.path == "" {
		return signal
	}
	tell := func(string, []byte) error {
		select {
		case signal <- struct{}{}:
		default:
		}
		return nil
	}
	go func() {
		for ctx.Err() == nil {
			err := c.silently().patiently(ctx, func() error { return c.events(ctx, r, tell) })
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return // refused for good: the reader says why, when it reads
			}
		}
	}()
	return signal
}

// changing prints rows that differ from what was printed of the same name before.
type changing[T any] struct {
	*app
	view   view[T]
	seen   map[string]string
	headed bool
	widths []int // of the columns so far
}

func (c *changing[T]) print(raws []json.RawMessage) error {
	var items []T
	var news []json.RawMessage
	for _, raw := range raws {
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		name := c.view.name(item) + idIn(raw)
		if c.seen[name] == string(raw) {
			continue
		}
		c.seen[name] = string(raw)
		items, news = append(items, item), append(news, raw)
	}
	if len(items) == 0 {
		return nil
	}
	switch c.config.Output {
	case formatJSON:
		return c.lines(news)
	case formatYAML:
		for _, raw := range news {
			if _, err := io.WriteString(c.Stdout, "---\n"); err != nil {
				return err
			}
			if err := printYAML(c.Stdout, raw); err != nil {
				return err
			}
		}
		return nil
	case formatName:
		for _, name := range c.view.names(items) {
			say(c.Stdout, "%s\n", name)
		}
		return nil
	}
	return c.table(items)
}

// idIn tells rows of one name apart: a task that was recovered has several.
func idIn(raw json.RawMessage) string {
	var row struct{ ID string }
	_ = json.Unmarshal(raw, &row) // rows without an id have unique names
	return row.ID
}

// lines writes one compact object a line, so that a program reads them as they come.
func (c *changing[T]) lines(raws []json.RawMessage) error {
	enc := json.NewEncoder(c.Stdout)
	enc.SetEscapeHTML(false)
	for _, raw := range raws {
		if err := enc.Encode(raw); err != nil {
			return err
		}
	}
	return nil
}

func (c *changing[T]) table(items []T) error {
	l := c.look()
	var rows [][]cell
	if !c.headed {
		rows = append(rows, c.view.heads(l))
		c.headed = true
	}
	for _, item := range items {
		rows = append(rows, c.view.row(item, l))
	}
	var err error
	c.widths, err = alignTable(c.Stdout, rows, c.widths, l.paint)
	return err
}

// watchInstance follows one run until it has ended: its rows for people, the whole object for
// programs.
func watchInstance(ctx context.Context, a *app, c *client, id string) error {
	people := a.config.Output == formatTable || a.config.Output == formatWide
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := c.changes(ctx, request{path: path("instances", id, "events")})
	objects := &changing[api.Instance]{app: a, view: view[api.Instance]{name: func(i api.Instance) string { return i.ID }}, seen: map[string]string{}}
	rows := &changing[api.Task]{app: a, view: a.taskView(), seen: map[string]string{}}
	for {
		var got answer[api.Instance]
		err := c.patiently(ctx, func() (err error) {
			got, err = ask[api.Instance](ctx, c, read(path("instances", id), nil))
			return err
		})
		if err != nil {
			return err
		}
		if people {
			err = rows.printTasks(got)
		} else {
			err = objects.print([]json.RawMessage{got.Raw})
		}
		if err != nil || ended(got.Value.State) {
			return err
		}
		if err := pause(ctx, changed); err != nil {
			return err
		}
	}
}

// printTasks prints the rows that changed, and at the end how the run ended.
func (c *changing[T]) printTasks(got answer[api.Instance]) error {
	var raw struct{ Tasks []json.RawMessage }
	if err := json.Unmarshal(got.Raw, &raw); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	if err := c.print(raw.Tasks); err != nil || !ended(got.Value.State) {
		return err
	}
	return c.writeEnd(c.Stdout, got.Value)
}
