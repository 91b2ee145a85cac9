// What a probe found.

package rpc

// Outcome of a probe: what the address of a master answered.
type Outcome uint8

// Outcomes. Silent proves nothing: the host may be cut off, or the process frozen.
const (
	Silent Outcome = iota
	Alive          // the process is there, and the store answers it
	Astray         // the process is there, but the store does not answer it
	Gone           // its host says that nobody listens there, or another process does
)
