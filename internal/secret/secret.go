// Package secret takes secrets from where the administrator of a host put them: the environment of the process, or a
// file. It must not know what they are for, and keeps none.
package secret

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"baton/internal/flow"
)

// maxSecret bounds the file of a secret. No key or password comes near it; a wrong path may.
const maxSecret = 1 << 20

// Value takes a secret from where it was put, for errors by whom. A file may be on a disk that does not answer: the
// end of ctx ends the wait for it.
func Value(ctx context.Context, s *flow.Secret, by string) (string, error) {
	if s.Env != "" {
		v, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", fmt.Errorf("%s has no environment variable %s", by, s.Env)
		}
		return v, nil
	}
	type answer struct {
		content []byte
		err     error
	}
	read := make(chan answer, 1) // whoever comes too late need not wait
	go func() {
		b, err := readFile(s.File)
		read <- answer{b, err}
	}()
	select {
	case a := <-read:
		if a.err != nil {
			return "", fmt.Errorf("%s cannot read the secret: %w", by, a.err)
		}
		// Editors end a file with a line end that is not part of the secret.
		return strings.TrimRight(string(a.content), "\r\n"), nil
	case <-ctx.Done():
		return "", fmt.Errorf("%s cannot read the secret: %s did not answer in time", by, s.File)
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe would wait for somebody to write
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	return b, err
}
