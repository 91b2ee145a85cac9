// Package supervisor owns task processes: it starts each in a process group and a folder of its
// own, in a cgroup where there are any, reads its output, and knows it to be over only when nothing
// of its whole tree is left.
//
// Supervisor is the table of them, in whatever process. Host is a supervisor as a process of its
// own, which keeps a worker proper running and ends everything when nobody renews the lease; Client
// is its other end.
//
// It must not know grants, masters or results: it runs a command for a token and tells how the
// command ended, and keeps records that it does not read.
package supervisor
