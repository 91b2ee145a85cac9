package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// A worker that starts on a full disk waits for room, says so, and ends when it is asked to; any other
// error of the disk ends it.
func TestStartOnFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := fmt.Errorf("write journal anew: %w", unix.ENOSPC)
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		began, tries := time.Now(), 0
		err := untilRoom(t.Context(), log, func() error {
			if tries++; time.Since(began) < 25*time.Second {
				return full
			}
			return nil
		})
		if err != nil || tries != 26 || strings.Count(out.String(), "the disk is full") != 3 {
			t.Errorf("%v after %d tries:\n%s", err, tries, out.String())
		}
		broken := errors.New("input/output error")
		if err := untilRoom(t.Context(), log, func() error { return broken }); !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := untilRoom(ctx, log, func() error { return full }); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%v", err)
		}
	})
}
