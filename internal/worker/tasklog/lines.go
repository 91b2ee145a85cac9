// The output as lines, for those who look for something in them.

package tasklog

import "bytes"

// MaxLine is as much of a line as is looked at; the log itself has all of it. What may be found
// in a line (an output, a match) is shorter, or too long to be accepted.
const MaxLine = 128 << 10

// lines cuts a stream into lines, however long and whatever is in them.
type lines struct {
	partial []byte // of a line without its end yet, at most MaxLine
	each    func(line []byte, cut bool)
	cut     bool // the partial line is longer than what is kept
}

func (l *lines) write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.keep(p)
			return
		}
		if len(l.partial) == 0 && i <= MaxLine {
			l.each(p[:i], false)
		} else {
			l.keep(p[:i])
			l.end()
		}
		p = p[i+1:]
	}
}

func (l *lines) keep(p []byte) {
	if room := MaxLine - len(l.partial); len(p) > room {
		p, l.cut = p[:room], true
	}
	l.partial = append(l.partial, p...)
}

// end gives out the line that has begun, if any.
func (l *lines) end() {
	if len(l.partial) > 0 || l.cut {
		l.each(l.partial, l.cut)
	}
	l.partial, l.cut = l.partial[:0], false
	if cap(l.partial) > 16<<10 {
		l.partial = nil
	}
}
