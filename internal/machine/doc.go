// Package machine tells how busy the machine is that a process runs on: its cores, its memory, a disk.
//
// It must not know who asks or what is concluded: limits and their hysteresis are decided elsewhere.
// What a system does not tell is 0: nobody is held up by a figure that is not there.
package machine
