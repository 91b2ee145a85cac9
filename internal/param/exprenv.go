// What an expression sees when it runs: typed values, and operators that refuse
// to compare unlike things.

package param

import (
	"reflect"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
)

// budget bounds what functions over lists may do: each element costs one, plus
// the size of the result, plus the size of what is named inside the function's
// brackets, since all of that may be gone through for each element.
type budget struct {
	left    int
	element int
}

var errBudget = errorAt(CodeTooLarge, 0, "the expression does too much work; shorten its lists or compute it in a task")

const (
	envBudget = "__budget"
	envPrefix = "__param_" // leads every name, so that a parameter may be called count or len
)

// env resolves the names of the expression.
func (e *Expression) env(r *resolver) (map[string]any, error) {
	total := 0
	env := make(map[string]any, len(e.names)+1)
	for _, n := range e.names {
		size, err := n.put(env, r)
		if err != nil {
			return nil, shift(err, n.offset)
		}
		if n.looped {
			total += size
		}
	}
	env[envBudget] = &budget{left: maxExprWork, element: 1 + total/exprWorkPerBytes}
	return env, nil
}

// put resolves one name into env and returns the size of its value.
func (n exprName) put(env map[string]any, r *resolver) (int, error) {
	name := n.name()
	if n.key == "" && len(n.path) > 0 {
		if _, ok := r.scope.find(n.root, levelStart); ok {
			name = n.root // a value with fields
		}
	}
	v, err := r.typed(name)
	if err != nil {
		return 0, err
	}
	switch {
	case n.root == rootParams && n.key != "":
		nest(env, v, envPrefix+rootParams, n.key)
	case n.root == rootTasks && n.key != "":
		nest(env, v, envPrefix+rootTasks, n.key, n.path[0])
	case name == n.root:
		env[envPrefix+n.root] = v
	default:
		nest(env, v, append([]string{envPrefix + n.root}, n.path...)...)
	}
	return sizeOf(v), nil
}

// nest stores v under a path of maps.
func nest(env map[string]any, v any, path ...string) {
	for _, k := range path[:len(path)-1] {
		inner, ok := env[k].(map[string]any)
		if !ok {
			inner = map[string]any{}
			env[k] = inner
		}
		env = inner
	}
	env[path[len(path)-1]] = v
}

// typed resolves a name to a value of its declared type.
func (r *resolver) typed(name string) (any, error) {
	// As in a template: a parameter that names itself means the value beneath it.
	text, err := r.reference(name)
	if err != nil {
		return nil, err
	}
	if len(text) > maxExprValue {
		return nil, errorAt(CodeTooLarge, 0, "parameter %q has %d bytes; an expression can look at %d", name, len(text), maxExprValue)
	}
	v, err := r.scope.typeOf(name).value(text)
	if err != nil {
		return nil, errorAt(CodeBadValue, 0, "parameter %q: %v", name, err)
	}
	return v, nil
}

// strictOptions make the operators of an expression strict and its loops bounded.
func strictOptions() []expr.Option {
	return []expr.Option{
		expr.Function("__eq", func(a ...any) (any, error) { return strictEqual(a[0], a[1]) }, new(func(any, any) bool)),
		expr.Function("__ne", func(a ...any) (any, error) {
			eq, err := strictEqual(a[0], a[1])
			return !eq, err
		}, new(func(any, any) bool)),
		expr.Function("__in", func(a ...any) (any, error) { return strictIn(a[0], a[1]) }, new(func(any, any) bool)),
		expr.Function("__string", func(a ...any) (any, error) { return scalarText(a[0]) }, new(func(any) string)),
		expr.Function("__step", func(a ...any) (any, error) {
			b := a[0].(*budget) //nolint:forcetypeassert // put there by env under a name no expression can write
			if b.left -= b.element + sizeOf(a[1]); b.left < 0 {
				return nil, errBudget
			}
			return a[1], nil
		}),
		expr.Patch(strictPatch{}),
	}
}

type strictPatch struct{}

// Visit puts the strict functions in the place of operators. Nodes it makes are not visited again.
func (strictPatch) Visit(node *ast.Node) {
	call := func(name string, args ...ast.Node) ast.Node {
		c := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
		c.SetLocation((*node).Location())
		return c
	}
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		n.Value = envPrefix + n.Value
	case *ast.BinaryNode:
		name := map[string]string{"==": "__eq", "!=": "__ne", "in": "__in"}[n.Operator]
		if name != "" {
			ast.Patch(node, call(name, n.Left, n.Right))
		}
	case *ast.BuiltinNode:
		if n.Name == "string" && len(n.Arguments) == 1 {
			ast.Patch(node, call("__string", n.Arguments...))
		}
	case *ast.PredicateNode:
		n.Node = call("__step", &ast.IdentifierNode{Value: envBudget}, n.Node)
	}
}

// kindOf names what a value is, as its users would.
func kindOf(v any) string {
	switch reflect.ValueOf(v).Kind() {
	case reflect.Invalid:
		return "nothing"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "a truth value"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "a map"
	}
}
