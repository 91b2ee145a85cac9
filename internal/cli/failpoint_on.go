// Failpoints: the process kills itself before or after something is made durable or leaves, as
// BATON_FAILPOINT=NAME:N says: at the N-th time. For the crash test only.

//go:build failpoint

package cli

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/lookout"
	"baton/internal/master"
	"baton/internal/rpc"
)

var failpoint = func() struct {
	name string
	left *atomic.Int64
} {
	name, n, _ := strings.Cut(os.Getenv("BATON_FAILPOINT"), ":")
	left := &atomic.Int64{}
	if count, err := strconv.Atoi(n); err == nil {
		left.Store(int64(count))
	}
	return struct {
		name string
		left *atomic.Int64
	}{name, left}
}()

// hit is kill -9 when it is this point's turn: nothing is flushed, nobody is told.
func hit(name string) {
	if name == failpoint.name && failpoint.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func around[T any](name string, do func() (T, error)) (T, error) {
	hit(name + ".before")
	v, err := do()
	hit(name + ".after")
	return v, err
}

func crashingMaster(s master.Store) master.Store { return masterPoints{s} }

type masterPoints struct{ master.Store }

func (p masterPoints) Register(ctx context.Context, n flow.Node) (flow.Lease, error) {
	return around("register", func() (flow.Lease, error) { return p.Store.Register(ctx, n) })
}

func (p masterPoints) Commit(ctx context.Context, b flow.Batch) (flow.CommitResult, error) {
	return around("commit", func() (flow.CommitResult, error) { return p.Store.Commit(ctx, b) })
}

func (p masterPoints) Claim(ctx context.Context, owner int64, now flow.Time, n int) ([]flow.ID, error) {
	ids, err := p.Store.Claim(ctx, owner, now, n)
	if len(ids) > 0 {
		hit("claim.after")
	}
	return ids, err
}

func (p masterPoints) TakeOver(ctx context.Context, owner, dead int64, now flow.Time, takes, n int) ([]flow.ID, int, error) {
	hit("takeover.before")
	ids, left, err := p.Store.TakeOver(ctx, owner, dead, now, takes, n)
	hit("takeover.after")
	return ids, left, err
}

func (p masterPoints) Load(ctx context.Context, owner int64, ids []flow.ID) ([]flow.Loaded, error) {
	out, err := around("load", func() ([]flow.Loaded, error) { return p.Store.Load(ctx, owner, ids) })
	for i := range out {
		deadly(out[i].Instance.Key)
	}
	return out, err
}

func (p masterPoints) Commands(ctx context.Context, n int, except []flow.ID, turn flow.Turn) ([]flow.Command, error) {
	return deadlyCommands(p.Store.Commands(ctx, n, except, turn))
}

func (p masterPoints) TryCommands(ctx context.Context, owner int64, takes int, upTo flow.ID, n int, except []flow.ID) ([]flow.Command, error) {
	return deadlyCommands(p.Store.TryCommands(ctx, owner, takes, upTo, n, except))
}

func deadlyCommands(cmds []flow.Command, err error) ([]flow.Command, error) {
	for i := range cmds {
		if cmds[i].Takes < flow.MaxTakes {
			deadly(cmds[i].Key)
		}
	}
	return cmds, err
}

// deadly is a run whose key BATON_DEADLY names: whoever drives it dies.
func deadly(key string) {
	if key != "" && key == os.Getenv("BATON_DEADLY") {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func crashingLookout(s lookout.Store) lookout.Store { return lookoutPoints{s} }

type lookoutPoints struct{ lookout.Store }

func (p lookoutPoints) StartOutside(ctx context.Context, owner int64, d flow.OutsideDecision, now flow.Time) (bool, error) {
	return around("outside", func() (bool, error) { return p.Store.StartOutside(ctx, owner, d, now) })
}

func crashingAPI(s api.Store) api.Store { return apiPoints{s} }

type apiPoints struct{ api.Store }

func (p apiPoints) Submit(ctx context.Context, c flow.Command, digest string) (flow.ID, bool, error) {
	hit("submit.before")
	id, existing, err := p.Store.Submit(ctx, c, digest)
	hit("submit.after")
	return id, existing, err
}

func (p apiPoints) Order(ctx context.Context, item flow.InboxItem) (flow.ID, error) {
	return around("order", func() (flow.ID, error) { return p.Store.Order(ctx, item) })
}

func crashingDialer(d rpc.Dialer) rpc.Dialer {
	return func(ctx context.Context) (rpc.Stream, error) {
		s, err := d(ctx)
		if err != nil {
			return nil, err
		}
		return streamPoints{s}, nil
	}
}

type streamPoints struct{ rpc.Stream }

func (p streamPoints) Send(f *rpc.FromWorker) error {
	started, ended := len(f.GetStarted()) > 0, len(f.GetEnded()) > 0
	if started {
		hit("started.before")
	}
	if ended {
		hit("ended.before")
	}
	err := p.Stream.Send(f)
	if ended {
		hit("ended.after")
	}
	return err
}

func (p streamPoints) Recv() (*rpc.FromMaster, error) {
	f, err := p.Stream.Recv()
	for _, part := range []struct {
		name string
		some bool
	}{{"welcome", f.GetWelcome() != nil}, {"granted", len(f.GetGrants()) > 0}, {"begun", len(f.GetBegins()) > 0}, {"acked", len(f.GetAcks()) > 0}, {"kill", len(f.GetKills()) > 0}} {
		if part.some {
			hit(part.name)
		}
	}
	return f, err
}
