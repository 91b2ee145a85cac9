// Files of tasks: fetched from a master once, verified, kept by their sum.

package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"

	"baton/internal/rpc"
)

// blobs is the cache of files and the fetches under way. It is safe for concurrent use.
type blobs struct {
	dir string

	mu      sync.Mutex
	conns   []*conn // oldest first; a fetch asks the last
	fetches map[string]*fetch
}

// fetch is a file on its way. Everybody who needs it waits for the same one.
type fetch struct {
	conn *conn
	tmp  *os.File
	sum  hash.Hash
	done chan struct{}
	err  error
}

var errNoMaster = errors.New("no master is connected")

func newBlobs(dir string) *blobs { return &blobs{dir: dir, fetches: map[string]*fetch{}} }

func (b *blobs) path(sum string) string { return filepath.Join(b.dir, sum) }

// place puts the file of a sum at path.
func (b *blobs) place(ctx context.Context, sum, path string, executable bool) error {
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size {
		return fmt.Errorf("%q is no sha256", sum)
	}
	mode := os.FileMode(0o640)
	if executable {
		mode = 0o750
	}
	err := copyFile(b.path(sum), path, mode)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := b.fetch(ctx, sum); err != nil {
		return err
	}
	return copyFile(b.path(sum), path, mode)
}

// copyFile copies: a link would let a task change the cache.
func copyFile(from, to string, mode os.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Chmod(mode) // the umask took bits away
}

// fetch waits until the cache has the file. A master that goes away meanwhile is no failure: the
// next one is asked.
func (b *blobs) fetch(ctx context.Context, sum string) error {
	for {
		f := b.begin(sum)
		select {
		case <-f.done:
			if !errors.Is(f.err, errNoMaster) {
				return f.err
			}
		case <-ctx.Done():
			return fmt.Errorf("waited for a master to send it: %w", ctx.Err())
		}
	}
}

// begin joins a fetch or starts one, when there is a master to ask.
func (b *blobs) begin(sum string) *fetch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.fetches[sum]; f != nil {
		return f
	}
	f := &fetch{done: make(chan struct{})}
	b.fetches[sum] = f
	if len(b.conns) > 0 { // else attach asks for it
		b.ask(f, sum)
	}
	return f
}

// ask sends the request; the caller holds mu.
func (b *blobs) ask(f *fetch, sum string) {
	tmp, err := os.CreateTemp(b.dir, ".fetch-*")
	if err != nil {
		b.end(f, sum, err)
		return
	}
	f.tmp, f.sum = tmp, sha256.New()
	f.conn = b.conns[len(b.conns)-1]
	f.conn.out.put(&rpc.FromWorker{Blobs: []*rpc.BlobRequest{{Sha256: sum}}})
}

// end settles a fetch; the caller holds mu.
func (b *blobs) end(f *fetch, sum string, err error) {
	if f.tmp != nil {
		err = errors.Join(err, f.tmp.Close())
		if err == nil {
			err = os.Rename(f.tmp.Name(), b.path(sum))
		}
		if err != nil {
			os.Remove(f.tmp.Name()) //nolint:errcheck // a leftover is removed at the next start
		}
	}
	f.err = err
	delete(b.fetches, sum)
	close(f.done)
}

// receive takes a piece of a file.
func (b *blobs) receive(c *rpc.BlobChunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := c.GetSha256()
	f := b.fetches[sum]
	if f == nil || f.tmp == nil {
		return
	}
	if c.GetError() != "" {
		b.end(f, sum, fmt.Errorf("the master does not have it: %s", c.GetError()))
		return
	}
	if _, err := f.tmp.Write(c.GetData()); err != nil {
		b.end(f, sum, err)
		return
	}
	f.sum.Write(c.GetData()) // a hash does not fail
	if c.GetLast() {
		var err error
		if got := hex.EncodeToString(f.sum.Sum(nil)); got != sum {
			err = fmt.Errorf("what the master sent has sha256 %s instead of %s", got, sum)
		}
		b.end(f, sum, err)
	}
}

// attach tells of a stream that can be asked. What waits for one is asked for.
func (b *blobs) attach(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns = append(b.conns, c)
	for sum, f := range b.fetches {
		if f.conn == nil {
			b.ask(f, sum)
		}
	}
}

// detach ends the fetches from a stream; those who wait ask another one.
func (b *blobs) detach(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, known := range b.conns {
		if known == c {
			b.conns = append(b.conns[:i:i], b.conns[i+1:]...)
			break
		}
	}
	for sum, f := range b.fetches {
		if f.conn == c {
			b.end(f, sum, errNoMaster)
		}
	}
}
