// The worker's settings.

package worker

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"baton/internal/flow"
)

// Config is everything a worker is told. Zero fields get the values of Defaults.
type Config struct {
	Name    string
	Home    string // identity of the data folder; "": kept in the folder, made at the first start
	Data    string // the folder: logs, journal, work folders, cache. One process at a time
	Version string
	Groups  []string
	Slots   int
	// FunctionSlots are the places of what runs inside the worker, as http and sql do.
	FunctionSlots int
	Weight        int // its share when tasks are dealt out by weight
	Limits        Limits
	Labels        map[string]string

	LogLimit    int64         // bytes of one attempt's log
	LogKeep     time.Duration // age at which logs are removed; negative: never
	KillGrace   time.Duration // of attempts whose grant says none
	StopGrace   time.Duration // bounds every grace when the worker stops
	OutageGrace time.Duration // how long a lease outlives an outage of the store
	ResendAfter time.Duration // an unacknowledged result is sent again
	// FetchTimeout bounds the wait for the files of an attempt.
	FetchTimeout time.Duration
	// DrainFor is how long what runs may go on after a supervisor of its own was asked to end.
	DrainFor time.Duration
	// HangAfter is how long a worker proper may be silent before its supervisor starts another; 0:
	// three tenths of the lease.
	HangAfter time.Duration
	// NoCgroups: a supervisor of its own does without cgroups also where the host has some.
	NoCgroups bool
}

// Defaults fills what is not set.
func (c Config) Defaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	set(&c.Name, host)
	set(&c.Data, "baton-data")
	// Tasks mostly wait for something else, so slots are many more than cores; and a small machine
	// still takes a usable number.
	set(&c.Slots, max(32, 16*runtime.NumCPU()))
	// Functions cost a goroutine each and wait for somebody else's answer.
	set(&c.FunctionSlots, 256)
	set(&c.Weight, flow.DefaultWeight)
	// A machine whose cores are all in use does what it is for; one whose memory or disk is used up
	// breaks what runs on it.
	set(&c.Limits.CPU, 1)
	set(&c.Limits.Memory, 0.95)
	set(&c.Limits.Disk, 256<<20)
	set(&c.LogLimit, 1<<30)
	set(&c.LogKeep, 30*24*time.Hour)
	set(&c.KillGrace, 10*time.Second)
	set(&c.StopGrace, 3*time.Second)
	set(&c.OutageGrace, 10*time.Minute)
	set(&c.ResendAfter, 5*time.Second)
	set(&c.FetchTimeout, time.Minute)
	if len(c.Groups) == 0 {
		c.Groups = []string{"default"}
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate tells what is wrong with a config that has its defaults.
func (c Config) Validate() error {
	for _, text := range append([]string{c.Name, c.Home, c.Version}, c.Groups...) {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return fmt.Errorf("%q is no valid text", text)
		}
	}
	switch {
	case c.Slots < 1 || c.Slots > 100_000:
		return fmt.Errorf("slots: %d is out of range; between 1 and 100000", c.Slots)
	case c.FunctionSlots < 1 || c.FunctionSlots > 100_000:
		return fmt.Errorf("function slots: %d is out of range; between 1 and 100000", c.FunctionSlots)
	case c.Weight < 1 || c.Weight > flow.MaxWeight:
		return fmt.Errorf("weight: %d is out of range; between 1 and %d", c.Weight, flow.MaxWeight)
	case c.Limits.CPU < 0 || c.Limits.Memory < 0:
		return fmt.Errorf("a limit of load must not be negative; 1 or more is none")
	case c.LogLimit < 1:
		return fmt.Errorf("log limit: %d bytes is out of range; at least 1", c.LogLimit)
	case c.KillGrace < 0 || c.StopGrace < 0 || c.OutageGrace < 0:
		return fmt.Errorf("a grace must not be negative")
	case c.ResendAfter < 0 || c.FetchTimeout < 0:
		return fmt.Errorf("a timeout must not be negative")
	}
	return nil
}
