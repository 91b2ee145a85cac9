// Package attempt decides about single tries, whatever they are for: whether and when a failed
// one is tried again, and what becomes of one when its worker and its owner meet after a
// separation.
//
// It must not know workflows, tasks' places in a graph, stores or wires. It is pure: no clock, no
// I/O, no goroutine.
package attempt
