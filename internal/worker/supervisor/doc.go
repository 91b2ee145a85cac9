// Package supervisor owns task processes: it starts each in a process group and a folder of its
// own, reads its output, and knows it to be over only when nothing of its whole tree is left.
//
// It must not know grants, masters, sessions or results: it runs a command for a token and tells
// how the command ended.
package supervisor
