package worker_test

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"baton/internal/rpc"
	"baton/internal/worker"
)

// benchMaster grants as fast as slots allow and acknowledges every result.
type benchMaster struct {
	rpc.UnimplementedMastersServer
	make        func(token int64) *rpc.Grant
	window, n   int
	ready, done chan struct{}
}

func (m *benchMaster) Session(s rpc.Masters_SessionServer) error {
	var sent, ended int
	fill := func(f *rpc.FromMaster) {
		for ; sent < m.n && sent-ended < m.window; sent++ {
			f.Grants = append(f.Grants, m.make(int64(sent+1)))
		}
	}
	for {
		in, err := s.Recv()
		if err != nil {
			return err
		}
		out := &rpc.FromMaster{Master: 1}
		if in.Hello != nil {
			out.Welcome = &rpc.Welcome{Session: 1, LeaseMicros: 10e6}
			if err := s.Send(out); err != nil {
				return err
			}
			<-m.ready
			out = &rpc.FromMaster{Master: 1}
		}
		for _, e := range in.Ended {
			ended++
			out.Acks = append(out.Acks, e.Token)
		}
		if in.Beat != nil {
			out.Renew, out.Beat = true, in.Beat.Number
		}
		fill(out)
		if err := s.Send(out); err != nil {
			return err
		}
		if ended == m.n {
			close(m.done)
		}
	}
}

func cpuTime() time.Duration {
	var self syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &self)
	return time.Duration(self.Utime.Nano() + self.Stime.Nano())
}

func benchmark(b *testing.B, typeName, options string, window int, wire bool) {
	m := &benchMaster{
		make: func(token int64) *rpc.Grant {
			g := order(token, typeName, options)
			g.Env = map[string]string{"BATON_INSTANCE_ID": "12345678", "BATON_ATTEMPT": "1", "BATON_FENCE": "1"}
			return g
		},
		window: window, n: b.N, ready: make(chan struct{}), done: make(chan struct{}),
	}
	dial := rpc.Pipe(m)
	if wire {
		l, conn, err := rpc.InMemory()
		if err != nil {
			b.Fatal(err)
		}
		srv := rpc.NewServer(m, nil, nil)
		go srv.Serve(l)
		b.Cleanup(srv.Stop)
		b.Cleanup(func() { conn.Close() })
		dial = rpc.Over(conn)
	}
	w := &world{m: newMaster(), cfg: worker.Config{Data: b.TempDir(), Slots: window}}
	stop := w.runWith(b, dial)
	before := cpuTime()
	b.ResetTimer()
	close(m.ready)
	<-m.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attempts/s")
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/attempt")
	stop()
}

func BenchmarkFunction(b *testing.B)         { benchmark(b, "noop", "", 64, false) }
func BenchmarkFunctionOverGRPC(b *testing.B) { benchmark(b, "noop", "", 64, true) }
func BenchmarkFunctionAlone(b *testing.B)    { benchmark(b, "noop", "", 1, false) }

// BenchmarkShell is compared with BenchmarkBareExec: the same program, started and read by the
// standard library with as many goroutines.
func BenchmarkShell(b *testing.B) { benchmark(b, "script", "true", 4*runtime.NumCPU(), false) }

func BenchmarkBareExec(b *testing.B) {
	var wg sync.WaitGroup
	work := make(chan struct{})
	for range 4 * runtime.NumCPU() {
		wg.Go(func() {
			for range work {
				cmd := exec.Command("/bin/sh", "-c", "true")
				r, w, err := os.Pipe()
				if err != nil {
					b.Error(err)
				}
				cmd.Stdout, cmd.Stderr = w, w
				if err := cmd.Start(); err != nil {
					b.Error(err)
				}
				w.Close()
				io.Copy(io.Discard, r)
				cmd.Wait()
				r.Close()
			}
		})
	}
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attempts/s")
}
