// Identity: 64-bit ids that grow with time, opaque outside.

package flow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
)

// ID names a row for ever. Ids grow with the time they were made in, so a list ordered by id
// is ordered by age. Outside the process an ID is a decimal string; zero means "none" and
// becomes null.
type ID int64

// String returns the decimal form, "" for none.
func (id ID) String() string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(int64(id), 10)
}

// MarshalJSON writes a string, because 64 bits do not fit the numbers of JavaScript.
func (id ID) MarshalJSON() ([]byte, error) {
	if id == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, id.String()), nil
}

// UnmarshalJSON accepts a decimal string or null.
func (id *ID) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*id = 0
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	v, err := ParseID(s)
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// ParseID reads the decimal form. The error is a bad_request that a person may see.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, &Error{Code: CodeBadRequest, Message: fmt.Sprintf("%q is not an id; ids are positive whole numbers, as `baton get instances` prints them", s), Field: "id"}
	}
	return ID(n), nil
}

const (
	idNodeBits = 10
	idSeqBits  = 12
	// idEpochMillis is 2025-01-01T00:00:00Z: 41 bits of milliseconds last until 2094.
	idEpochMillis = 1735689600000
)

// IDSource makes ids: 41 bits of milliseconds, 10 bits of node number, 12 bits of sequence.
// Node numbers are unique among live nodes. The source never goes back, also when the clock
// does: it starts above Floor, the greatest id found in the store, and borrows milliseconds
// from the future when one is used up. Safe for concurrent use.
type IDSource struct {
	mu   sync.Mutex
	node int64
	last int64 // milliseconds<<idSeqBits | sequence, as used last
}

// NewIDSource returns a source for a node number in 0..1023 whose ids are all above floor.
func NewIDSource(node int, floor ID) *IDSource {
	return &IDSource{
		node: int64(node) & (1<<idNodeBits - 1),
		last: (int64(floor)>>(idNodeBits+idSeqBits) + 1) << idSeqBits,
	}
}

// Next returns an id above every earlier one of this source; now places it in time.
func (s *IDSource) Next(now Time) ID {
	ms := (int64(now)/1000 - idEpochMillis) << idSeqBits
	s.mu.Lock()
	s.last = max(s.last+1, ms)
	v := s.last
	s.mu.Unlock()
	seq := v & (1<<idSeqBits - 1)
	return ID(v>>idSeqBits<<(idNodeBits+idSeqBits) | s.node<<idSeqBits | seq)
}
