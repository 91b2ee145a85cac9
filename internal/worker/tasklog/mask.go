// Secrets never reach a log.

package tasklog

import (
	"bytes"
	"slices"
)

var stars = []byte("***")

// masker replaces secrets in a stream by ***, also where they are split across writes: bytes that
// may be the beginning of one are kept back until it is decided.
type masker struct {
	secrets [][]byte // longest first, so that a secret within another leaves nothing of it
	tail    []byte   // kept back
	buf     []byte
}

func newMasker(secrets []string) *masker {
	m := &masker{}
	for _, s := range secrets {
		if s != "" {
			m.secrets = append(m.secrets, []byte(s))
		}
	}
	slices.SortFunc(m.secrets, func(a, b []byte) int { return len(b) - len(a) })
	return m
}

// mask returns what may be shown after p came. The result is valid until the next call.
func (m *masker) mask(p []byte) []byte { return m.run(p, false) }

// rest returns what was kept back, when nothing follows.
func (m *masker) rest() []byte { return m.run(nil, true) }

func (m *masker) run(p []byte, last bool) []byte {
	if len(m.secrets) == 0 {
		return p
	}
	in := p
	if len(m.tail) > 0 {
		in = append(m.tail, p...)
	}
	out := m.buf[:0]
	for len(in) > 0 {
		at, hit, open := m.next(in, last)
		out = append(out, in[:at]...)
		in = in[at:]
		if open {
			break
		}
		if hit > 0 {
			out = append(out, stars...)
			in = in[hit:]
		}
	}
	m.buf = out
	m.tail = append(m.tail[:0:0], in...)
	return out
}

// next returns the place of the next secret and its length, or the place from where the rest must
// be kept back (open) because it may be the beginning of one, unless nothing follows.
func (m *masker) next(in []byte, last bool) (at, length int, open bool) {
	at = len(in)
	for _, s := range m.secrets {
		if i := bytes.Index(in[:min(len(in), at+len(s))], s); i >= 0 && i < at {
			at, length = i, len(s)
		}
	}
	for _, s := range m.secrets {
		// An opening behind the hit is looked at later; one at its place may be a longer secret.
		for i := max(0, len(in)-len(s)+1); i <= at && i < len(in); i++ {
			if bytes.HasPrefix(s, in[i:]) {
				at, length, open = i, 0, true
				break
			}
		}
	}
	return at, length, open
}

// Mask replaces secrets in a text that is not part of a log.
func Mask(text []byte, secrets []string) []byte {
	m := newMasker(secrets)
	return append(bytes.Clone(m.mask(text)), m.rest()...)
}
