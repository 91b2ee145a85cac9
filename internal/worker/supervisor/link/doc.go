// Package link is the line between the supervisor and the worker proper: framed messages over a
// socket pair, with open files attached, and the form in which a supervisor hands itself to its
// next program.
//
// It must not know what a message is for: it carries them in order, and every file with its own.
package link
