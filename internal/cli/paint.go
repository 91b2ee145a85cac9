// Colour: on a terminal only, and never with NO_COLOR.

package cli

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

type paint bool

const (
	sgrReset  = "\x1b[0m"
	sgrDim    = "\x1b[2m"
	sgrBold   = "\x1b[1m"
	sgrRed    = "\x1b[31m"
	sgrGreen  = "\x1b[32m"
	sgrYellow = "\x1b[33m"
	sgrBlue   = "\x1b[34m"
)

var stateColours = map[string]string{
	"succeeded": sgrGreen, "forced_success": sgrGreen, "ready": sgrGreen, "created": sgrGreen,
	"failed": sgrRed, "killed": sgrRed, "stopped": sgrRed, "lost": sgrRed, "quarantined": sgrRed,
	"running": sgrBlue, "dispatched": sgrBlue, "started": sgrBlue, "granted": sgrBlue,
	"pausing": sgrYellow, "paused": sgrYellow, "stopping": sgrYellow, "compensating": sgrYellow, "unknown": sgrYellow,
	"suspect": sgrYellow, "busy": sgrYellow, "draining": sgrYellow, "updated": sgrYellow,
	"skipped": sgrDim, "waiting": sgrDim, "queued": sgrDim, "submitted": sgrDim, "unchanged": sgrDim, "void": sgrDim,
}

func (p paint) wrap(sgr, s string) string {
	if !p || sgr == "" {
		return s
	}
	return sgr + s + sgrReset
}

func (p paint) dim(s string) string   { return p.wrap(sgrDim, s) }
func (p paint) bold(s string) string  { return p.wrap(sgrBold, s) }
func (p paint) state(s string) string { return p.wrap(stateColours[s], s) }

// paint tells whether standard output takes colour.
func (a *app) paint() paint {
	env := environment(a.Environ)
	return paint(isTerminal(a.Stdout) && env["NO_COLOR"] == "" && env["TERM"] != "dumb")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
