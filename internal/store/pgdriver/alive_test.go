package pgdriver

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"
)

// pair is two ends of a TCP connection.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

func TestQuiet(t *testing.T) {
	for name, tc := range map[string]struct {
		does func(far net.Conn) error
		want bool
	}{
		"nothing":     {func(net.Conn) error { return nil }, true},
		"a last word": {func(far net.Conn) error { _, err := far.Write([]byte("E")); return err }, false},
		"the end":     {net.Conn.Close, false},
		"a reset": {func(far net.Conn) error {
			if err := far.(*net.TCPConn).SetLinger(0); err != nil {
				return err
			}
			return far.Close()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := pair(t)
			if !quiet(near) {
				t.Fatal("a new connection is not quiet")
			}
			if err := tc.does(far); err != nil {
				t.Fatal(err)
			}
			// Loopback delivers before the call of the sender returns.
			if got := quiet(near); got != tc.want {
				t.Errorf("quiet is %t", got)
			}
			if got := quiet(tls.Client(near, &tls.Config{ServerName: "db", MinVersion: tls.VersionTLS13})); got != tc.want {
				t.Errorf("below TLS quiet is %t", got)
			}
		})
	}
	near, _ := pair(t)
	read := make(chan error, 1)
	reading := make(chan struct{})
	go func() {
		close(reading)
		_, err := near.Read(make([]byte, 1))
		read <- err
	}()
	<-reading
	for range 1000 { // the reader may not have come to its read yet
		if !quiet(near) {
			t.Fatal("a connection that somebody reads from is not quiet")
		}
		runtime.Gosched()
	}
	near.Close()
	<-read
	near, _ = net.Pipe()
	if quiet(near) {
		t.Error("what cannot be looked at is taken for quiet")
	}
}
