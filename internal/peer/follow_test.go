package peer_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"baton/internal/peer"
)

// lines passes on what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A worker whose masters do not answer says so in its log, with whom it asked and what came back.
func TestNobodyAnswersIsSaid(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close() // nobody listens there, then
	said := make(lines, 100)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	peer.Follow(ctx, []string{address}, nil, slog.New(slog.NewTextHandler(said, nil)))
	select {
	case line := <-said:
		if !strings.Contains(line, "level=WARN") || !strings.Contains(line, "no master answers") || !strings.Contains(line, address) || !strings.Contains(line, "refused") {
			t.Error(line)
		}
	case <-ctx.Done():
		t.Error("nothing was said")
	}
}
