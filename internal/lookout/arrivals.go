// Files that arrive.

package lookout

import (
	"context"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/trigger"
)

// slowLook is how long a look may take before people are told that it does.
const slowLook = time.Minute

// watchFiles looks for the files of a trigger until ctx ends.
func (l *Lookout) watchFiles(ctx context.Context, o flow.Outside) {
	every := o.Body.File.EveryOr().Std()
	for {
		sight, ok := l.sight(ctx, o)
		if !ok {
			return
		}
		for {
			at := l.clock.Now()
			found, err := l.find(ctx, o)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				l.cannot(o.ID, err.Error())
			} else if known, err := l.arrived(ctx, sight, found, at); err != nil {
				if l.refused(ctx, "write what arrived", err) {
					return
				}
				if ctx.Err() == nil {
					l.cannot(o.ID, "what arrived cannot be written: "+err.Error())
				}
				if !pause(ctx, again) {
					return
				}
				break // whether it was written the store knows
			} else if !known {
				if !pause(ctx, again) {
					return
				}
				break // so it does when something else was: the trigger changed, which will be heard of, or a file was known
			} else {
				l.looked(o.ID, at)
			}
			if !pause(ctx, every) {
				return
			}
		}
	}
}

// sight begins with what is known of the files, as soon as the store tells it; false when ctx has ended.
func (l *Lookout) sight(ctx context.Context, o flow.Outside) (*trigger.Sight, bool) {
	for {
		asking, cancel := context.WithTimeout(ctx, storePatience)
		known, err := l.Store.KnownFiles(asking, o.ID)
		cancel()
		if err == nil {
			if len(known) > 0 {
				o.LookedAt = max(o.LookedAt, 1) // there was a first look, whatever is written of it
			}
			return trigger.NewSight(o, known), true
		}
		l.refused(ctx, "read which files are known", err)
		if !pause(ctx, again) {
			return nil, false
		}
	}
}

// find looks for files. A file system that does not answer is told of, and waited for by nobody else.
func (l *Lookout) find(ctx context.Context, o flow.Outside) ([]flow.FoundFile, error) {
	type answer struct {
		files []flow.FoundFile
		err   error
	}
	done := make(chan answer, 1) // whoever comes too late need not wait
	go func() {
		files, err := l.Find(o.Body.File.Path)
		done <- answer{files, err}
	}()
	slow := time.NewTimer(slowLook)
	defer slow.Stop()
	for {
		select {
		case a := <-done:
			return a.files, a.err
		case <-slow.C:
			l.cannot(o.ID, fmt.Sprintf("a look for %s takes longer than %s; does its disk answer?", o.Body.File.Path, slowLook))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// arrived has written what a look has found; false when something of it was not as it was known.
func (l *Lookout) arrived(ctx context.Context, sight *trigger.Sight, found []flow.FoundFile, at flow.Time) (bool, error) {
	for {
		d, more := sight.Look(found, at)
		if d.Empty() {
			return true, nil
		}
		written, err := l.start(ctx, d)
		if err != nil || !written {
			return false, err
		}
		sight.Wrote(d)
		if !more {
			return true, nil
		}
	}
}
