// What a backend does for a client.

package client

import (
	"context"
	"errors"
	"time"

	"baton/internal/registry"
)

// ErrOver is what a backend says when the registry itself has ended the session.
var ErrOver = errors.New("the registry has ended the session")

// ErrForgot is what a watch returns when the registry has lost what it knew: who is missing in it
// may well live.
var ErrForgot = errors.New("the registry has lost what it knew")

// Permanent marks an error that trying again does not mend: who waits is told at once.
func Permanent(err error) error { return permanent{err} }

// IsPermanent tells whether an error was marked as one that stays.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Backend is one kind of registry. Its methods are called from several goroutines; each ends when
// its ctx is done, whatever the network does.
type Backend interface {
	// Open begins a session: what is said and locked in it vanishes when it was not renewed for about
	// length. granted is the length the registry agreed to.
	Open(ctx context.Context, length time.Duration) (s Session, granted time.Duration, err error)

	// Watch tells all members, as they are and again after every change, until ctx is done or it
	// cannot say any more that it heard of every change; then it returns why.
	Watch(ctx context.Context, tell func([]registry.Member)) error

	// Probe asks what only a registry that works can answer, and makes sure that the watch under way
	// is still heard of.
	Probe(ctx context.Context) error

	Close() error
}

// Session is a lease at the registry. Sync is called by one goroutine at a time, Lock by many.
type Session interface {
	// Sync renews the session and says what is new. All of it is safe to say twice.
	Sync(ctx context.Context, n News) error

	// Lock takes a name and waits for it. With an error the hold may be there all the same, when the
	// answer got lost: if its Key is set it is to be undone.
	Lock(ctx context.Context, name string, holder int64) (Hold, error)

	// End gives back at once what is held, if the registry can be reached. What was put may be in
	// another session meanwhile, and then stays.
	End(ctx context.Context)
}

// News is what a session has to say to the registry.
type News struct {
	Put    []registry.Member
	Remove []int64 // incarnations
	Unlock []Hold
}

// Hold is a name locked.
type Hold struct {
	Name  string
	Fence int64
	Key   string // by which the backend finds it again
}
