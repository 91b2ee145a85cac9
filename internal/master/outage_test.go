package master

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An outage is told when it begins, every ten seconds while it lasts, and when it is over.
func TestOutageIsToldNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		var o outage
		o.answered(t.Context(), log)
		for range 250 { // 25 seconds
			o.failed(t.Context(), log, "look what waits", errors.New("connection refused"))
			time.Sleep(100 * time.Millisecond)
		}
		o.answered(t.Context(), log)
		o.answered(t.Context(), log)
		if n := strings.Count(out.String(), "did not answer"); n != 3 {
			t.Errorf("told %d times in 25 s, not 3:\n%s", n, out.String())
		}
		if n := strings.Count(out.String(), "answers again"); n != 1 || !strings.Contains(out.String(), "after=25s unanswered=250") {
			t.Errorf("the end was told %d times:\n%s", n, out.String())
		}
		out.Reset()
		for range 100 { // a slow store, for 20 seconds
			o.failed(t.Context(), log, "renew", errors.New("deadline exceeded"))
			o.answered(t.Context(), log)
			time.Sleep(200 * time.Millisecond)
		}
		if n, m := strings.Count(out.String(), "did not answer"), strings.Count(out.String(), "answers again"); n != 2 || m != 2 {
			t.Errorf("told %d times that it does not answer and %d times that it does in 20 s:\n%s", n, m, out.String())
		}
	})
}
