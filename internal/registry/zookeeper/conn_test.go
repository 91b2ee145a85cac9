package zookeeper

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

type reads struct {
	net.Conn
	io.Reader
}

func (r reads) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// However an answer is cut, its number alone is taken out; the answer that begins a session has none.
func TestUnnumbered(t *testing.T) {
	t.Parallel()
	frame := func(body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	begin := frame(bytes.Repeat([]byte{9}, 37)...)
	number := []byte{0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 'r', 'e', 's', 't'}
	none := []byte{0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'r', 'e', 's', 't'}
	sent := bytes.Join([][]byte{begin, frame(number...), frame(number[:16]...), frame(number...)}, nil)
	want := bytes.Join([][]byte{begin, frame(none...), frame(none[:16]...), frame(none...)}, nil)
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
	} {
		got, err := io.ReadAll(&unnumbered{Conn: reads{Reader: cut(bytes.NewReader(sent))}})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%v\n%v", name, err, got, want)
		}
	}
}
