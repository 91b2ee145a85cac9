// The names an expression mentions.

package param

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// exprName is a name an expression mentions.
type exprName struct {
	root   string   // the identifier it begins with
	path   []string // the fields behind it
	key    string   // params["key"], or the task of tasks["key"].output
	looped bool     // stands inside a function over a list
	offset int
}

const (
	rootParams = "params"
	rootTasks  = "tasks"
)

// name returns the parameter, or T.output, that is meant.
func (n exprName) name() string {
	switch {
	case n.root == rootParams && n.key != "":
		return n.key
	case n.root == rootTasks && n.key != "":
		return n.key + "." + n.path[0]
	default:
		return strings.Join(append([]string{n.root}, n.path...), ".")
	}
}

// mention records a chain of fields that begins with an identifier. It reports
// false when n is something else, to be inspected piece by piece.
func (g *guard) mention(n ast.Node) bool {
	var path []string
	at := n
	for {
		switch m := at.(type) {
		case *ast.IdentifierNode:
			return g.name(m, path, n)
		case *ast.ChainNode:
			at = m.Node
			continue
		case *ast.MemberNode:
			field, ok := m.Property.(*ast.StringNode)
			if id, isRoot := m.Node.(*ast.IdentifierNode); isRoot && (id.Value == rootParams || id.Value == rootTasks) && !ok {
				g.refuse(m.Property, `%s[…] takes a name between quotes, such as %s["a name"]`, id.Value, id.Value)
				return true
			}
			if ok {
				path = append([]string{field.Value}, path...)
			} else {
				g.inspect(m.Property)
				path = nil // what lies behind an index belongs to the value, not to the name
			}
			at = m.Node
			continue
		}
		return false
	}
}

func (g *guard) name(root *ast.IdentifierNode, path []string, whole ast.Node) bool {
	n := exprName{root: root.Value, path: path, looped: g.closure, offset: byteOffset(g.text, root.Location().From)}
	switch {
	case strings.HasPrefix(root.Value, "$") || strings.HasPrefix(root.Value, "__"):
		g.refuse(root, `%s cannot be written as a name; write params["%s"]`, root.Value, root.Value)
		return true
	case root.Value == rootParams && len(path) == 0:
		g.refuse(whole, `params takes a name, such as params["a name"]`)
		return true
	case root.Value == rootParams:
		n.key, n.path = path[0], path[1:]
	case root.Value == rootTasks && len(path) < 2:
		g.refuse(whole, `tasks takes a task and an output, such as tasks["extract"].count`)
		return true
	case root.Value == rootTasks:
		n.key, n.path = path[0], path[1:]
	}
	for i := range g.names {
		if have := &g.names[i]; have.root == n.root && have.key == n.key && have.name() == n.name() {
			have.looped = have.looped || n.looped
			return true
		}
	}
	g.names = append(g.names, n)
	return true
}
