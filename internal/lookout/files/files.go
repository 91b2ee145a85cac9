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
// folders, but not by links to folders, which may lead in a ring, nor names that begin with a dot, unless the pattern
// writes it. A link to a file is that file; one that leads nowhere is none. The folder in which the pattern begins has to be
// there. A folder below it that cannot be read is told of, and the rest is found.
func Find(pattern string) (found []flow.FoundFile, trouble string, err error) {
	base, below := doublestar.SplitPattern(pattern)
	if info, err := os.Stat(base); err != nil {
		return nil, "", fmt.Errorf("folder %s cannot be read on the master's host: %w", base, bare(err))
	} else if !info.IsDir() {
		return nil, "", fmt.Errorf("%s is no folder on the master's host", base)
	}
	tree := &watched{base: base, FS: os.DirFS(base)}
	names := map[string]bool{} // a pattern may find a file in two ways
	err = doublestar.GlobWalk(tree, below, func(path string, _ fs.DirEntry) error {
		if names[path] = true; len(names) > lookout.MostFiles {
			return fmt.Errorf("%s matches more than %d files; narrow it, or move away what was processed", pattern, lookout.MostFiles)
		}
		return nil
	}, doublestar.WithNoFollow(), doublestar.WithNoHidden())
	switch {
	case err != nil:
		return nil, "", err
	case names["."] || tree.err != nil && tree.where == ".":
		return nil, "", fmt.Errorf("folder %s cannot be read on the master's host: %w", base, bare(tree.err))
	case tree.err != nil:
		trouble = fmt.Sprintf("folder %s cannot be read on the master's host, the others are: %v", filepath.Join(base, tree.where), bare(tree.err))
	}
	for path := range names {
		f, is, err := look(filepath.Join(base, path))
		if err != nil {
			trouble = fmt.Sprintf("%s cannot be looked at on the master's host, the others are: %v", filepath.Join(base, path), err)
		} else if is {
			found = append(found, f)
		}
	}
	return found, trouble, nil
}

// look is what there is of a file; false: it is none, or gone meanwhile.
func look(name string) (f flow.FoundFile, is bool, err error) {
	var st unix.Stat_t
	switch err := unix.Stat(name, &st); {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return f, false, nil
	case err != nil:
		return f, false, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return f, false, nil
	}
	came := st.Ctim // which a move sets, too
	if came.Nano() <= 0 {
		came = st.Mtim // a file system that knows no other
	}
	f = flow.FoundFile{
		FileVersion: flow.FileVersion{Path: name, Size: st.Size, Modified: st.Mtim.Nano()},
		CameAt:      flow.Time(came.Nano() / 1000), Coarse: coarse,
	}
	if !utf8.ValidString(name) {
		f.Path, f.Unfit = flow.Text(name, len(name)), fmt.Sprintf("its name %q is not UTF-8; rename it", name)
	}
	return f, true, nil
}

// watched is a tree of files that notes which folder could not be read; what is not there is no fault.
type watched struct {
	fs.FS
	base  string
	where string
	err   error
}

// ReadDir implements fs.ReadDirFS.
func (w *watched) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		w.where, w.err = name, err
	}
	return entries, err
}

// Stat implements fs.StatFS.
func (w *watched) Stat(name string) (fs.FileInfo, error) { return fs.Stat(w.FS, name) }

// bare is an error without the call that failed and its path, which are said already.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
