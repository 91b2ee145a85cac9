// Package tasklog keeps the logs of attempts: one file each, written by one runner, masked and
// bounded, read and followed by anyone.
//
// It must not know what runs or who reads: it sees bytes of an attempt named by instance, task and
// token.
package tasklog
