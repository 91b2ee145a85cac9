// Package trigger decides what a trigger makes of an event: the start parameters that its expressions give, and which
// ends of runs start one.
//
// It is pure, and must not know where events come from, or who writes down what is decided.
package trigger
