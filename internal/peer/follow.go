// Following the masters through any of them, for workers that reach nothing else.

package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"

	"baton/internal/flow"
	"baton/internal/registry"
	"baton/internal/rpc"
)

// silenceTold is how often the log says that nobody answers.
const silenceTold = 5 * time.Second

// Follow tells the addresses of all masters whenever they change, until ctx is done. It asks the
// first of seeds that answers, and when that is gone any other that it knows. While nobody answers
// the list stays as it was, and the log says so every few seconds. The first that answers says which cluster
// this is; masters of another one are not heard.
func Follow(ctx context.Context, seeds []string, creds credentials.TransportCredentials, log *slog.Logger) <-chan []string {
	out := make(chan []string)
	go func() {
		defer close(out)
		var known []string
		var told time.Time
		var cluster string
		for ctx.Err() == nil {
			asked := append(slices.Clone(known), without(seeds, known)...)
			answered := false
			var last error
			for _, address := range asked {
				err := follow(ctx, address, creds, func(its string, list []string) error {
					if cluster == "" {
						cluster = its
					}
					if its != "" && its != cluster {
						return &otherClusterError{its, cluster}
					}
					answered = true
					if slices.Equal(list, known) {
						return nil
					}
					known = list
					select {
					case out <- list:
					case <-ctx.Done():
					}
					return nil
				})
				if ctx.Err() != nil {
					return
				}
				level := slog.LevelDebug
				if _, other := errors.AsType[*otherClusterError](err); other && time.Since(told) >= silenceTold {
					level, told = slog.LevelError, time.Now()
				}
				log.LogAttrs(ctx, level, "a master does not tell of the others", slog.String("master", address), slog.Any("error", rpc.Plain(err)))
				last = fmt.Errorf("%s: %w", address, rpc.Plain(err))
			}
			if !answered && time.Since(told) >= silenceTold {
				told = time.Now()
				log.LogAttrs(ctx, slog.LevelWarn, "no master answers: waiting, and trying again every second",
					slog.String("asked", strings.Join(asked, ",")), slog.Any("error", last))
			}
			t := time.NewTimer(lastPause / 2)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	}()
	return out
}

func without(list, but []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(a string) bool { return slices.Contains(but, a) })
}

// answerWithin is how long a master may take to its first word: one that is not registered yet has none.
const answerWithin = 3 * time.Second

// follow hears one master until it is gone.
func follow(ctx context.Context, address string, creds credentials.TransportCredentials, heard func(cluster string, masters []string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(answerWithin, func() { cancel(fmt.Errorf("it says nothing for %s", answerWithin)) })
	defer silent.Stop()
	conn, err := rpc.Dial(address, creds)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost with it
	stream, err := rpc.NewPeersClient(conn).Follow(ctx, &rpc.FollowRequest{})
	if err != nil {
		return err
	}
	for {
		reply, err := stream.Recv()
		if err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		silent.Stop()
		var list []string
		for _, m := range reply.GetMasters() {
			if m.GetAddress() != "" {
				list = append(list, m.GetAddress())
			}
		}
		slices.Sort(list)
		if err := heard(reply.GetCluster(), list); err != nil {
			return err
		}
	}
}

// otherClusterError is why a master is not heard.
type otherClusterError struct{ its, ours string }

func (e *otherClusterError) Error() string {
	return fmt.Sprintf("it is a master of cluster %s, and those that answered before are of cluster %s: let --registry name the masters of one cluster", e.its, e.ours)
}

// Addresses tells the addresses of the masters that a registry shows, whenever they change. While
// it is out of reach, or shows none, the list stays as it was.
func Addresses(ctx context.Context, views <-chan registry.View) <-chan []string {
	out := make(chan []string)
	go func() {
		defer close(out)
		var known []string
		for v := range views {
			var list []string
			for _, m := range v.OfRole(flow.RoleMaster) {
				if m.Address != "" {
					list = append(list, m.Address)
				}
			}
			slices.Sort(list)
			if v.Since == 0 || len(list) == 0 || slices.Equal(list, known) {
				continue
			}
			known = list
			select {
			case out <- list:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
