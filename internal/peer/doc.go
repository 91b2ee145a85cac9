// Package peer speaks to masters: it keeps a connection to every master that the registry shows,
// passes pokes on, probes, merges their feeds of changes, and reads logs through whichever of them
// can. Masters use it for each other, api processes for all of them, workers to learn where they are.
//
// It must not know what a poke is about, what is stored, or who owns what: whatever goes through it
// is a hint or a view. A message that is lost here is made up for by a poll of its reader.
package peer
