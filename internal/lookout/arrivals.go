// Files that arrive.

package lookout

import (
	"context"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/trigger"
)

const (
	// slowLook is how long a look may take before people are told that it does.
	slowLook = time.Minute
	// refusals is how often what was found is not as it was known, one time after the other, before people are told.
	refusals = 5
)

// watchFiles looks for the files of a trigger until ctx ends.
func (l *Lookout) watchFiles(ctx context.Context, o flow.Outside) {
	every := o.Body.File.EveryOr().Std()
	for refused := 0; ; {
		sight, ok := l.sight(ctx, o)
		if !ok {
			return
		}
		for known := true; known; {
			f, err := l.find(ctx, o)
			if ctx.Err() != nil {
				return
			}
			wait := every
			if err != nil {
				l.cannot(o, err.Error())
			} else if known, err = l.arrived(ctx, sight.Look(f.files, f.began), sight); known {
				refused = 0
				l.note(o, f.began, f.trouble)
			} else if ok, wait = l.unwritten(ctx, o, err, &refused), again; !ok {
				return
			}
			if !pause(ctx, wait) {
				return
			}
		}
	}
}

// unwritten tells whether to go on, from what the store knows, when something was not written: whether it was all the same
// is not known, or something was not as it was known. That is so when the trigger was changed, which will be heard of.
func (l *Lookout) unwritten(ctx context.Context, o flow.Outside, err error, refused *int) bool {
	switch {
	case err != nil && l.refused(ctx, "write what arrived", err):
		return false
	case ctx.Err() != nil:
		return false
	case err != nil:
		l.cannot(o, "what arrived cannot be written: "+err.Error())
		return true
	}
	if *refused++; *refused >= refusals {
		l.cannot(o, "what arrived cannot be written: it is not as it was known")
	}
	return true
}

// sight begins with what is known of the files, as soon as the store tells it; false when ctx has ended.
func (l *Lookout) sight(ctx context.Context, o flow.Outside) (*trigger.Sight, bool) {
	var known []flow.KnownFile
	for from := ""; ; {
		part, err := l.knownFiles(ctx, o, from)
		switch {
		case ctx.Err() != nil, err != nil && l.refused(ctx, "read which files are known", err):
			return nil, false
		case err != nil:
			l.cannot(o, "it cannot be read which files are known: "+err.Error())
			if !pause(ctx, again) {
				return nil, false
			}
			continue
		}
		if from == "" {
			o.LookedAt = part.LookedAt
		}
		known = append(known, part.Files...)
		if from = part.Next; from == "" {
			return trigger.NewSight(o, known), true
		}
	}
}

func (l *Lookout) knownFiles(ctx context.Context, o flow.Outside, from string) (flow.KnownFiles, error) {
	if !l.turn(ctx) {
		return flow.KnownFiles{}, ctx.Err()
	}
	defer l.turnOver()
	asking, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	return l.Store.KnownFiles(asking, o.ID, from)
}

// finding is a look that is under way.
type finding struct {
	began   flow.Time
	done    chan struct{}
	files   []flow.FoundFile
	trouble string
	err     error
}

// find looks for files. A file system that does not answer is told of, and asked once, whoever waits for it.
func (l *Lookout) find(ctx context.Context, o flow.Outside) (*finding, error) {
	pattern := o.Body.File.Path
	l.mu.Lock()
	f := l.finds[pattern]
	if f == nil {
		f = &finding{began: l.now(), done: make(chan struct{})}
		l.finds[pattern] = f
		go func() {
			defer close(f.done)
			f.files, f.trouble, f.err = l.Find(pattern)
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.finds, pattern)
		}()
	}
	l.mu.Unlock()
	slow := time.NewTimer(slowLook)
	defer slow.Stop()
	for {
		select {
		case <-f.done:
			return f, f.err
		case <-slow.C:
			l.cannot(o, fmt.Sprintf("a look for %s takes longer than %s; does its disk answer?", pattern, slowLook))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// arrived has written what a look has found; false when something of it was not as it was known.
func (l *Lookout) arrived(ctx context.Context, f *trigger.Findings, sight *trigger.Sight) (bool, error) {
	for {
		d, some := f.Next()
		if !some {
			return true, nil
		}
		written, err := l.start(ctx, d)
		if err != nil || !written {
			return false, err
		}
		sight.Wrote(d)
	}
}
