package master

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"baton/internal/rpc"
)

// Grants that are too large for one frame go out in several, in order, and what is said of them after
// them.
func TestLargeGrantsAreSplit(t *testing.T) {
	t.Parallel()
	st := newStream(1, nil)
	const n = 40
	grants := func(from int64) (out []*rpc.Grant) {
		for i := range int64(n) {
			out = append(out, &rpc.Grant{Token: from + i, Options: make([]byte, grantsPerFrame/4)})
		}
		return out
	}
	st.push(&rpc.FromMaster{Master: 7, Acks: []int64{9}, Begins: []int64{3}, Grants: grants(1)})
	st.push(&rpc.FromMaster{Master: 7, Grants: grants(n + 1)})
	st.push(&rpc.FromMaster{Master: 7, Kills: []*rpc.Kill{{Token: 2}}})
	st.finish()
	token, begun, killed := int64(0), false, false
	for {
		f, over := st.pop()
		if over {
			break
		}
		if size := proto.Size(f); size > 2*grantsPerFrame || f.Master != 7 {
			t.Errorf("a frame of %d bytes of master %d", size, f.Master)
		}
		if acked := len(f.Acks) > 0; acked != (token == 0) {
			t.Errorf("acknowledged: %t, after grant %d", acked, token)
		}
		for _, g := range f.Grants {
			if token++; g.Token != token {
				t.Fatalf("grant %d comes as number %d", g.Token, token)
			}
		}
		begun, killed = begun || len(f.Begins) > 0, killed || len(f.Kills) > 0
		if begun && token < 3 || killed && token < 2 {
			t.Errorf("after grant %d: begun %t, killed %t", token, begun, killed)
		}
	}
	if token != 2*n || !begun || !killed {
		t.Errorf("%d grants, begun %t, killed %t", token, begun, killed)
	}
}

// What ends a session takes the place of a welcome that was not sent yet.
func TestEndTakesThePlaceOfAWelcome(t *testing.T) {
	t.Parallel()
	st := newStream(1, nil)
	st.push(&rpc.FromMaster{Welcome: &rpc.Welcome{Session: 5}})
	st.push(&rpc.FromMaster{Welcome: &rpc.Welcome{Session: 5, Over: true}})
	if f, _ := st.pop(); !f.GetWelcome().GetOver() {
		t.Errorf("sent %v", f)
	}
}

// A piece of a file waits for the wire, for as long as the stream lives.
func TestPiecesWaitForTheWire(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	st := newStream(1, cancel)
	sent := make(chan bool)
	go func() {
		sent <- st.sendBlob(ctx, &rpc.BlobChunk{Sha256: "a"})
		sent <- st.sendBlob(ctx, &rpc.BlobChunk{Sha256: "b"})
	}()
	if b := <-st.blobs; b.Sha256 != "a" || !<-sent {
		t.Errorf("sent %v", b)
	}
	if f, _ := st.pop(); f != nil {
		t.Errorf("queued: %v", f)
	}
	cancel(errors.New("over"))
	if <-sent {
		t.Error("sent on a stream that is over")
	}
}
