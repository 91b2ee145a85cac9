// Package deploy checks what deploy/ has against the program: it renders the chart with Helm's own
// packages, decodes what comes out with Kubernetes' types, parses the compose file and the Dockerfile
// with the libraries of their makers, and has systemd-analyze verify the units. Nothing is run in a
// container or a cluster.
//
// It is a module of its own: the program needs none of those libraries.
package deploy
