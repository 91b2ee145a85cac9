// Package assign decides who gets what: which worker the next task, and how many of a worker's places
// each master may fill.
//
// It must not know how anything is told or stored, what a task is, or who is alive: it is given
// lists and answers with numbers. It is pure: no clock, no I/O, no goroutine, no map order.
package assign
