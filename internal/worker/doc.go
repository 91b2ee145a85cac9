// Package worker is the worker of the fleet: it holds a session with the masters, runs the
// attempts they grant, and hands back every result until a master has it.
//
// Core decides, as a reactor without clock, disk, network or goroutine; Worker is the thin shell
// that carries its effects out. supervisor owns the task processes, tasklog the attempts' logs.
//
// It must not know workflows, retries, stores or which task types exist: it sees attempts, and
// types through the contract of package task.
package worker
