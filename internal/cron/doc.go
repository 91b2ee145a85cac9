// Package cron tells when a schedule fires: cron expressions of two dialects, a
// span that repeats, or one instant, in a time zone, with a choice of what
// happens when its clocks are changed.
//
// An expression is compiled once into bit sets; a question jumps through them
// field by field, allocates nothing and ends after a bounded search whatever the
// expression says. A [Schedule] is immutable and safe for concurrent use.
//
// What it must not know: the clock (every question brings its instant), stores,
// workflows, calendars of holidays, and whether anything that was due ran. It is
// pure: no clock, no I/O, no goroutine; time zones are handed in.
//
// Errors are of type [*Error], with the field, its place and a remedy.
package cron
