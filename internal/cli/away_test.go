package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/flow"
)

// Who follows something outlives a restart of the server, says what it waits for, and gives up in the end.
func TestPatiently(t *testing.T) {
	t.Parallel()
	away := flow.Errorf(flow.CodeUnavailable, "", "no server answers")
	for _, c := range []struct {
		name  string
		back  time.Duration // when the server answers again
		cut   error
		want  error
		after time.Duration
		told  []string
	}{
		{"at once", 0, away, nil, 0, nil},
		{"a blink is not told", time.Second, away, nil, time.Second, nil},
		{"a restart", 70 * time.Second, away, nil, 70 * time.Second, []string{"the server does not answer at http://x; trying again for 2m", ""}},
		{"gone", time.Hour, away, away, 2 * time.Minute, []string{"the server does not answer at http://x; trying again for 2m"}},
		{"a stream that is cut at once", time.Hour, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, 2 * time.Minute, []string{"the server does not answer at http://x; trying again for 2m"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []string
				client := &client{to: target{url: "http://x"}, patience: (&app{}).patience()}
				client.patience.note = func(text string) { told = append(told, text) }
				began := time.Now()
				err := client.patiently(t.Context(), func() error {
					if time.Since(began) < c.back {
						return c.cut
					}
					return nil
				})
				if !errors.Is(err, c.want) || time.Since(began) != c.after || !slices.Equal(told, c.told) {
					t.Errorf("%v after %s, told %q", err, time.Since(began), told)
				}
			})
		})
	}
}

// Streams that go on for a while between cuts are followed for as long as it takes; an answer that is an error is
// one, and who is interrupted stops.
func TestPatientlyEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &client{patience: (&app{}).patience()}
		client.patience.note = func(string) {}
		cuts := 0
		err := client.patiently(t.Context(), func() error {
			if cuts++; cuts > 500 {
				return flow.Errorf(flow.CodeNotFound, "", "no run")
			}
			time.Sleep(3 * time.Second)
			return io.ErrUnexpectedEOF
		})
		if flow.CodeOf(err) != flow.CodeNotFound || cuts != 501 {
			t.Errorf("%v after %d", err, cuts)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := client.patiently(ctx, func() error { return io.EOF }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
