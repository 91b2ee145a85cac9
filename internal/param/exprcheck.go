// Checking an expression before there are values: when a file is applied.

package param

import (
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
)

// declareType is the remedy for values of different types.
const declareType = "; declare the parameter's type, or convert with int(…), float(…) or string(…)"

// Check reports, as bad_expression, a fault that the types of parameters alone
// give away, such as a text that is compared to a number. typeOf knows the
// declared parameters; the types of other names are left open.
func (e *Expression) Check(typeOf func(name string) (Type, bool)) error {
	env := map[string]any{}
	for _, n := range e.names {
		if n.key != "" {
			continue
		}
		switch t, ok := typeOf(n.root); {
		case !ok, t == TypeList, t == TypeJSON: // may hold anything
		case t == TypeInteger:
			env[envPrefix+n.root] = 0
		case t == TypeFloat:
			env[envPrefix+n.root] = 0.0
		case t == TypeBoolean:
			env[envPrefix+n.root] = false
		default:
			env[envPrefix+n.root] = ""
		}
	}
	if len(env) == 0 {
		return nil
	}
	_, err := expr.Compile(e.text, expr.Env(env), expr.AllowUndefinedVariables(), expr.MaxNodes(2*maxNodes), expr.Optimize(false), expr.Patch(renamePatch{}))
	if err == nil {
		return nil
	}
	fault := exprError(e.text, err)
	fault.Message = strings.ReplaceAll(fault.Message, envPrefix, "") + declareType
	return fault
}

// renamePatch gives names the prefix they have in an environment.
type renamePatch struct{}

// Visit renames one identifier.
func (renamePatch) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok {
		id.Value = envPrefix + id.Value
	}
}
