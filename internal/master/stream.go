// The queue of a worker's connection: frames that wait for the wire, merged as far as they fit.

package master

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"baton/internal/rpc"
)

// stream is one worker's connection.
type stream struct {
	id     int64
	mu     sync.Mutex
	queue  []*rpc.FromMaster
	size   int  // of the grants in the last of them
	last   bool // nothing comes after them
	wake   chan struct{}
	blobs  chan *rpc.BlobChunk // goes out one by one, whoever sends it waits
	cancel context.CancelCauseFunc
	logs   map[int64]chan *rpc.LogChunk
	name   string
	setups bool // its worker sources scripts of environments
	sess   int64
}

func newStream(id int64, cancel context.CancelCauseFunc) *stream {
	return &stream{
		id: id, wake: make(chan struct{}, 1), blobs: make(chan *rpc.BlobChunk), cancel: cancel,
		logs: make(map[int64]chan *rpc.LogChunk),
	}
}

// hello notes what its worker says of itself.
func (st *stream) hello(h *rpc.Hello) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.name, st.setups = h.Name, h.Sources
}

// sources tells whether its worker sources the script of a Setup.
func (st *stream) sources() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.setups
}

// worker is the name of its worker.
func (st *stream) worker() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.name
}

// grantsPerFrame bounds the bytes of the grants in a frame, all of one task's at least. The other parts
// are small.
const grantsPerFrame = rpc.MaxFrame / 8

// push adds to what goes out next.
func (st *stream) push(f *rpc.FromMaster) {
	st.mu.Lock()
	for _, part := range split(f) {
		st.add(part)
	}
	st.mu.Unlock()
	st.poke()
}

// split returns a frame as several if its grants are too large for one. What is said about attempts that
// were granted comes last.
func split(f *rpc.FromMaster) []*rpc.FromMaster {
	if sizeOf(f.Grants) <= grantsPerFrame {
		return []*rpc.FromMaster{f}
	}
	grants := f.Grants
	end := &rpc.FromMaster{Master: f.Master, Begins: f.Begins, Kills: f.Kills}
	f.Grants, f.Begins, f.Kills = nil, nil, nil
	out := []*rpc.FromMaster{f}
	size := 0
	for _, g := range grants {
		n := sizeOf([]*rpc.Grant{g})
		if size > 0 && size+n > grantsPerFrame {
			out, size = append(out, &rpc.FromMaster{Master: f.Master}), 0
		}
		last := out[len(out)-1]
		last.Grants, size = append(last.Grants, g), size+n
	}
	return append(out, end)
}

func sizeOf(grants []*rpc.Grant) int {
	n := 0
	for _, g := range grants {
		n += proto.Size(g)
	}
	return n
}

// add puts a frame at the end of the queue, into the last one if it fits.
func (st *stream) add(f *rpc.FromMaster) {
	size := sizeOf(f.Grants)
	if len(st.queue) == 0 || st.size+size > grantsPerFrame {
		st.queue, st.size = append(st.queue, f), size
		return
	}
	merge(st.queue[len(st.queue)-1], f)
	st.size += size
}

// merge adds f to n, which goes out as one frame.
func merge(n, f *rpc.FromMaster) {
	if n.Welcome == nil || f.Welcome.GetOver() {
		n.Welcome = f.Welcome
	}
	n.Master = max(n.Master, f.Master)
	n.Acks = append(n.Acks, f.Acks...)
	n.Grants = append(n.Grants, f.Grants...)
	n.Begins = append(n.Begins, f.Begins...)
	n.Kills = append(n.Kills, f.Kills...)
	n.ReadLogs = append(n.ReadLogs, f.ReadLogs...)
	n.Blobs = append(n.Blobs, f.Blobs...)
	n.Forget = append(n.Forget, f.Forget...)
	n.Renew = n.Renew || f.Renew
	if f.LeaseMicros != 0 {
		n.LeaseMicros = f.LeaseMicros
	}
	n.Beat = max(n.Beat, f.Beat)
	if f.Heard > n.Heard {
		n.Heard, n.Outage = f.Heard, f.Outage
	}
	n.Asks = append(n.Asks, f.Asks...)
	n.Settles = append(n.Settles, f.Settles...)
	n.Fenced = append(n.Fenced, f.Fenced...)
	n.Room = max(n.Room, f.Room)
	n.Left = max(n.Left, f.Left)
	if f.Wants != nil {
		n.Wants = f.Wants
	}
	if f.WantsFunctions != nil {
		n.WantsFunctions = f.WantsFunctions
	}
}

// pop takes the next frame, nil if there is none. over: there will be none.
func (st *stream) pop() (f *rpc.FromMaster, over bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.queue) == 0 {
		return nil, st.last
	}
	f, st.queue = st.queue[0], st.queue[1:]
	if len(st.queue) > 0 || st.last {
		st.poke()
	}
	return f, false
}

// poke has the sender look.
func (st *stream) poke() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// sendBlob sends a piece of a resource when the wire is free. It is false when the stream is over.
func (st *stream) sendBlob(ctx context.Context, b *rpc.BlobChunk) bool {
	select {
	case st.blobs <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish ends the stream when what was pushed is sent, or after a while if it does not go out.
func (st *stream) finish() {
	st.mu.Lock()
	st.last = true
	st.mu.Unlock()
	time.AfterFunc(lastFrameWithin, func() { st.cancel(errLast) })
	st.poke()
}

// lastFrameWithin is how long the last frame of a stream may take.
const lastFrameWithin = 5 * time.Second

// errLast ends a stream that has nothing more to say.
var errLast = errors.New("the worker's session is over")
