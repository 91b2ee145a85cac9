// A connection: messages in order, each with its files.

package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

const (
	head = 8 // length, number of files; 4 bytes each, little endian
	// maxMessage is more than the longest journal, which travels whole.
	maxMessage = 1 << 30
	// maxFiles is how many files the kernel passes at a time.
	maxFiles = 250
	readSize = 64 << 10
)

// Conn is one end. Send may be called by anyone, Receive by one goroutine at a time.
type Conn struct {
	u *net.UnixConn

	rx    sync.Mutex // held while Receive works
	in    []byte     // received, not taken
	files []int      // received, not taken
	buf   []byte
	oob   []byte

	mu     sync.Mutex
	out    []packet
	dead   error
	idle   chan struct{} // closed while nothing is to be sent
	poke   chan struct{}
	closed chan struct{}
	once   sync.Once
}

// packet is a message with its files, which are closed once they are sent. They are plain numbers: as
// an os.File each would wake this process for all that is written to it.
type packet struct {
	b     []byte
	files []int
}

// Pair returns two ends as files that no child inherits by itself.
func Pair() (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make link: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link"), nil
}

// Open makes a connection of an end, which it takes.
func Open(f *os.File) (*Conn, error) {
	defer f.Close() // FileConn works on a copy
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("open link: it is no unix socket"), nc.Close())
	}
	c := &Conn{
		u: u, buf: make([]byte, readSize), oob: make([]byte, unix.CmsgSpace(maxFiles*4)),
		idle: make(chan struct{}), poke: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	close(c.idle)
	go c.write()
	return c, nil
}

// Send queues a message. The files are closed when they are sent, or cannot be.
func (c *Conn) Send(m proto.Message, files ...int) {
	b := make([]byte, head, head+proto.Size(m))
	b, err := proto.MarshalOptions{}.MarshalAppend(b, m)
	if err != nil { // texts were made valid before
		closeAll(files)
		return
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-head))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(files)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		closeAll(files)
		return
	}
	if len(c.out) == 0 {
		select {
		case <-c.idle:
			c.idle = make(chan struct{})
		default: // the writer is at the last ones
		}
	}
	c.out = append(c.out, packet{b, files})
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

func closeAll(files []int) {
	for _, fd := range files {
		unix.Close(fd) //nolint:errcheck // a copy
	}
}

// Flushed is closed when everything was sent, or nothing can be any more.
func (c *Conn) Flushed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle
}

func (c *Conn) write() {
	for {
		c.mu.Lock()
		batch := c.out
		c.out = nil
		if len(batch) == 0 || c.dead != nil {
			select {
			case <-c.idle:
			default:
				close(c.idle)
			}
		}
		dead := c.dead
		c.mu.Unlock()
		if len(batch) == 0 || dead != nil {
			for _, p := range batch {
				closeAll(p.files)
			}
			select {
			case <-c.poke:
				continue
			case <-c.closed:
				c.mu.Lock()
				defer c.mu.Unlock()
				for _, p := range c.out { // put there before it was known
					closeAll(p.files)
				}
				c.out = nil
				return
			}
		}
		for len(batch) > 0 {
			n, err := c.sendSome(batch)
			if err != nil {
				c.mu.Lock()
				c.dead = err
				c.mu.Unlock()
				n = len(batch)
			}
			for _, p := range batch[:n] {
				closeAll(p.files)
			}
			batch = batch[n:]
		}
	}
}

// sendSome sends as many messages as go together and tells how many. A message of many files goes
// in pieces of its own: files come with the bytes they are sent with, or before.
func (c *Conn) sendSome(batch []packet) (int, error) {
	if len(batch[0].files) > maxFiles {
		for part := range slices.Chunk(batch[0].files, maxFiles) {
			// An empty message of no files says nothing; it carries files that belong to the next.
			if err := c.transmit(make([]byte, head), part); err != nil {
				return 0, err
			}
		}
		return 1, c.transmit(batch[0].b, nil)
	}
	var b []byte
	var files []int
	n := 0
	for ; n < len(batch) && len(files)+len(batch[n].files) <= maxFiles && (n == 0 || len(b) < readSize); n++ {
		b = append(b, batch[n].b...)
		files = append(files, batch[n].files...)
	}
	return n, c.transmit(b, files)
}

func (c *Conn) transmit(b []byte, files []int) error {
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	for len(b) > 0 {
		n, _, err := c.u.WriteMsgUnix(b, oob, nil)
		if err != nil {
			return fmt.Errorf("send on link: %w", err)
		}
		b, oob = b[n:], nil
	}
	return nil
}

// Receive takes the next message into m and returns its files, which the caller closes. While
// Interrupt holds it fails with os.ErrDeadlineExceeded, and nothing is lost by that.
func (c *Conn) Receive(m proto.Message) ([]int, error) {
	c.rx.Lock()
	defer c.rx.Unlock()
	for {
		if len(c.in) >= head {
			size, files := int(binary.LittleEndian.Uint32(c.in)), int(binary.LittleEndian.Uint32(c.in[4:]))
			if size > maxMessage {
				return nil, fmt.Errorf("receive on link: a message of %d bytes", size)
			}
			if len(c.in) >= head+size {
				body := c.in[head : head+size]
				c.in = c.in[head+size:]
				if size == 0 && files == 0 {
					continue
				}
				if files > len(c.files) {
					return nil, fmt.Errorf("receive on link: %d of %d files", len(c.files), files)
				}
				mine := slices.Clone(c.files[:files])
				c.files = c.files[files:]
				if err := proto.Unmarshal(body, m); err != nil {
					closeAll(mine)
					return nil, fmt.Errorf("receive on link: %w", err)
				}
				return mine, nil
			}
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

func (c *Conn) fill() error {
	n, oobn, flags, _, err := c.u.ReadMsgUnix(c.buf, c.oob)
	if oobn > 0 {
		messages, perr := unix.ParseSocketControlMessage(c.oob[:oobn])
		if perr != nil {
			return fmt.Errorf("receive on link: %w", perr)
		}
		for i := range messages {
			if fds, perr := unix.ParseUnixRights(&messages[i]); perr == nil {
				c.files = append(c.files, fds...)
			}
		}
	}
	if err != nil {
		return err
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return errors.New("receive on link: this process has too many open files")
	}
	if n == 0 {
		return errClosed
	}
	c.in = append(c.in, c.buf[:n]...)
	return nil
}

var errClosed = errors.New("the other end of the link is closed")

// Interrupt makes Receive return, now and until Resume.
func (c *Conn) Interrupt() { c.u.SetReadDeadline(time.Unix(1, 0)) } //nolint:errcheck // a socket has deadlines

// Resume takes Interrupt back.
func (c *Conn) Resume() { c.u.SetReadDeadline(time.Time{}) } //nolint:errcheck // a socket has deadlines

// Rest is what was received and not taken; for a connection whose Receive is interrupted.
func (c *Conn) Rest() (bytes []byte, files []int) { return c.in, c.files }

// Restore puts back what Rest told.
func (c *Conn) Restore(bytes []byte, files []int) { c.in, c.files = bytes, files }

// File returns a copy of the end as a file.
func (c *Conn) File() (*os.File, error) { return c.u.File() }

// Close ends the connection.
func (c *Conn) Close() {
	c.once.Do(func() {
		c.u.Close() //nolint:errcheck // nothing more is read or written
		c.mu.Lock()
		if c.dead == nil {
			c.dead = errClosed
		}
		c.mu.Unlock()
		close(c.closed)
		c.rx.Lock() // the socket is closed: Receive comes back
		defer c.rx.Unlock()
		closeAll(c.files) // nobody took them
		c.files = nil
	})
}
