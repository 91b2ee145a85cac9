package worker

import (
	"errors"
	"testing"
	"time"
)

// One master that is away for an hour does not fill the log.
func TestRepeatedErrorsAreSaidOnceAMinute(t *testing.T) {
	t.Parallel()
	var r repeated
	began := time.Now()
	said := 0
	for at := time.Duration(0); at < 10*time.Minute; at += time.Second {
		if r.worth(errors.New("refused"), began.Add(at)) {
			said++
		}
	}
	if said != 10 {
		t.Errorf("said %d times in 10 minutes", said)
	}
	if !r.worth(errors.New("another"), began.Add(10*time.Minute)) {
		t.Error("another error is news")
	}
}
