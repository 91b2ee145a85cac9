// The ledger: what the tasks themselves wrote.

package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// entry is a line of the ledger.
type entry struct {
	what          string // begin, beat, fail, end
	instance, row string
	attempt       int
	token         int64
	node          string
	up            float64 // seconds since the machine started
	at            time.Time
	pid           int
}

// readLedger reads all lines; one that is not whole is an error: each is one write.
func readLedger(path string) ([]entry, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []entry
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) != 9 {
			return nil, fmt.Errorf("the ledger has a line %q", line)
		}
		e := entry{what: f[0], instance: f[1], row: f[2], node: f[5]}
		var errs [5]error
		e.attempt, errs[0] = strconv.Atoi(f[3])
		e.token, errs[1] = strconv.ParseInt(f[4], 10, 64)
		e.up, errs[2] = strconv.ParseFloat(f[6], 64)
		seconds, micros, _ := strings.Cut(f[7], ".")
		at, err := strconv.ParseInt(seconds+micros, 10, 64)
		errs[3] = err
		e.at = time.UnixMicro(at)
		e.pid, errs[4] = strconv.Atoi(f[8])
		for _, err := range errs {
			if err != nil {
				return nil, fmt.Errorf("the ledger has a line %q: %w", line, err)
			}
		}
		out = append(out, e)
	}
	return out, nil
}
