// Package files finds files on the file systems of this host. It must not know what they are for.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sys/unix"

	"baton/internal/flow"
	"baton/internal/lookout"
)

// coarse is how much too early the times of a file may be: those of Linux are of the last tick of a clock.
const coarse = 50 * time.Millisecond

// Find returns the regular files that match a pattern: * and ? within a name, [a-z] of letters, {a,b} of words, ** for any
// folders, but not by links to folders, which may lead in a ring. A link to a file is that file. The folder in which the
// pattern begins has to be there: one that is not is an error, as is a folder that cannot be read, since what lies there
// would seem to be gone.
func Find(pattern string) ([]flow.FoundFile, error) {
	base, _ := doublestar.SplitPattern(pattern)
	if _, err := os.Stat(base); err != nil {
		return nil, fmt.Errorf("the folder of %s cannot be read on the master's host: %w", pattern, plain(err))
	}
	names, err := doublestar.FilepathGlob(pattern, doublestar.WithFailOnIOErrors(), doublestar.WithNoFollow())
	if err != nil {
		return nil, fmt.Errorf("%s cannot be looked for on the master's host: %w", pattern, plain(err))
	}
	if len(names) > lookout.MostFiles {
		return nil, fmt.Errorf("%s matches %d files, more than %d; narrow it, or move away what was processed", pattern, len(names), lookout.MostFiles)
	}
	var out []flow.FoundFile
	for _, name := range names {
		var st unix.Stat_t
		switch err := unix.Stat(name, &st); {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile, or a link to nothing
			continue
		case err != nil:
			return nil, fmt.Errorf("%s cannot be looked at on the master's host: %w", name, err)
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			continue
		case !utf8.ValidString(name):
			return nil, fmt.Errorf("the name of %q is not UTF-8; rename it", name)
		}
		came := st.Ctim // which a move sets, too
		if came.Nano() <= 0 {
			came = st.Mtim // a file system that knows no other
		}
		out = append(out, flow.FoundFile{
			FileVersion: flow.FileVersion{Path: filepath.Clean(name), Size: st.Size, Modified: st.Mtim.Nano()},
			CameAt:      flow.Time(came.Nano() / 1000), Coarse: coarse,
		})
	}
	return out, nil
}

// plain is an error without the call that failed, which says nothing to people.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}
