// Blocks: BEGIN … END of stored routines.

package sql

import "slices"

// block follows the BEGIN … END of stored routines, triggers and events, whose semicolons do not
// end the statement.
type block struct {
	object string // what CREATE creates
	depth  int
	ended  bool // the word before was END
}

var (
	objects  = []string{"FUNCTION", "PROCEDURE", "TRIGGER", "EVENT", "PACKAGE", "TABLE", "VIEW", "INDEX", "SCHEMA", "DATABASE", "SEQUENCE", "TYPE", "DOMAIN", "EXTENSION", "ROLE", "USER", "RULE", "POLICY", "SERVER", "AGGREGATE"}
	routines = objects[:5]
)

func (b *block) word(w string, n int, first string) {
	if n == 2 && first == "BEGIN" && w == "NOT" { // BEGIN NOT ATOMIC … END
		b.object, b.depth = routines[0], 1
		return
	}
	if first != "CREATE" && first != "ALTER" && b.object == "" {
		return
	}
	if b.object == "" {
		if slices.Contains(objects, w) {
			b.object = w
		}
		return
	}
	if !slices.Contains(routines, b.object) {
		return
	}
	if b.ended {
		b.ended = false
		switch w {
		case "IF", "LOOP", "WHILE", "REPEAT", "FOR": // END IF: its IF was not counted
			b.depth++
			return
		case "CASE": // END CASE is one end
			return
		}
	}
	switch w {
	case "BEGIN", "CASE":
		b.depth++
	case "END":
		if b.depth > 0 {
			b.depth--
			b.ended = true
		}
	}
}
