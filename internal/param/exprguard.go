// What an expression may say: names it mentions are collected, what could do
// unbounded work or reach outside is refused.

package param

import "github.com/expr-lang/expr/ast"

// exprFuncs are the functions an expression may call: pure, and their result is
// no larger than what goes in.
var exprFuncs = map[string]bool{
	"all": true, "any": true, "none": true, "one": true, "filter": true, "map": true, "count": true, "find": true,
	"len": true, "int": true, "float": true, "string": true, "abs": true, "ceil": true, "floor": true, "round": true,
	"min": true, "max": true, "sum": true, "first": true, "last": true, "indexOf": true,
	"trim": true, "upper": true, "lower": true, "split": true, "hasPrefix": true, "hasSuffix": true,
}

// guard walks a syntax tree from the root down.
type guard struct {
	text    string
	names   []exprName
	err     *Error
	closure bool
}

func (g *guard) refuse(n ast.Node, format string, args ...any) {
	if g.err == nil {
		g.err = errorAt(CodeExpression, byteOffset(g.text, n.Location().From), format, args...)
	}
}

func (g *guard) inspect(n ast.Node) {
	if g.err != nil {
		return
	}
	switch n := n.(type) {
	case *ast.IdentifierNode, *ast.MemberNode:
		if g.mention(n) {
			return
		}
	case *ast.BuiltinNode:
		if !exprFuncs[n.Name] {
			g.refuse(n, "the function %s is not available in expressions", n.Name)
			g.suggestFunc(n.Name)
			return
		}
	case *ast.CallNode:
		g.refuse(n, "there is no such function")
		if id, ok := n.Callee.(*ast.IdentifierNode); ok && g.err != nil {
			g.err.Message = "there is no function " + id.Value
			g.suggestFunc(id.Value)
		}
		return
	case *ast.VariableDeclaratorNode:
		g.refuse(n, "let is not available in expressions; write the value out")
		return
	case *ast.PredicateNode:
		if g.closure {
			g.refuse(n, "a function over a list cannot stand inside another one; compute the inner one in a task")
			return
		}
		g.closure = true
		defer func() { g.closure = false }()
	}
	for _, c := range children(n) {
		g.inspect(c)
	}
}

func (g *guard) suggestFunc(name string) { g.err.suggest(name, sortedKeys(exprFuncs)) }

// children lists the nodes directly below n.
func children(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		var list []ast.Node
		for _, c := range []ast.Node{n.Node, n.From, n.To} {
			if c != nil {
				list = append(list, c)
			}
		}
		return list
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	case *ast.SequenceNode:
		return n.Nodes
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.MapNode:
		return n.Pairs
	case *ast.PairNode:
		return []ast.Node{n.Key, n.Value}
	default:
		return nil
	}
}
