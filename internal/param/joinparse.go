// The grammar of join expressions.
//
//	or    := and {("or"|"||") and}
//	and   := unary {("and"|"&&") unary}
//	unary := ("not"|"!") unary | "(" or ")" | rule | task "." flag
//	task  := identifier | "tasks" "[" text "]"

package param

import (
	"fmt"
	"slices"
)

type joinParser struct {
	lexer joinLexer
	token joinToken
	tasks []string
	names []string
	depth int
}

func (p *joinParser) next() { p.token = p.lexer.next() }

// accept takes the next token when it is one of the words or signs given.
func (p *joinParser) accept(words ...string) bool {
	if p.token.kind == tokenText || p.token.kind == tokenEnd || !slices.Contains(words, p.token.text) {
		return false
	}
	p.next()
	return true
}

func (p *joinParser) unexpected(want string) error {
	if p.token.kind == tokenBad {
		return errorAt(CodeExpression, p.token.offset, "%s", p.token.text)
	}
	have := fmt.Sprintf("%q", p.token.text)
	if p.token.kind == tokenEnd {
		have = "the end"
	}
	return errorAt(CodeExpression, p.token.offset,
		`%s was expected, not %s; write an expression such as a.succeeded and not tasks["a name"].failed`, want, have)
}

func (p *joinParser) or() (joinNode, error) {
	left, err := p.and()
	for err == nil && p.accept("or", "||") {
		var right joinNode
		right, err = p.and()
		left = joinOr{left, right}
	}
	return left, err
}

func (p *joinParser) and() (joinNode, error) {
	left, err := p.unary()
	for err == nil && p.accept("and", "&&") {
		var right joinNode
		right, err = p.unary()
		left = joinAnd{left, right}
	}
	return left, err
}

func (p *joinParser) unary() (joinNode, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errorAt(CodeTooLarge, p.token.offset, "more than %d brackets and nots inside each other", maxNesting)
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("not", "!"):
		n, err := p.unary()
		return joinNot{n}, err
	case p.accept("("):
		n, err := p.or()
		if err == nil && !p.accept(")") {
			err = p.unexpected(`")"`)
		}
		return n, err
	case p.token.kind == tokenWord && !joinKeywords[p.token.text]:
		return p.operand()
	default:
		return nil, p.unexpected("a task")
	}
}

// operand parses a rule or task.flag.
func (p *joinParser) operand() (joinNode, error) {
	name := p.token
	p.next()
	if name.text == rootTasks && p.token.text == "[" {
		p.next()
		name = p.token
		if name.kind != tokenText {
			return nil, p.unexpected("the name of a task between quotes")
		}
		p.next()
		if !p.accept("]") {
			return nil, p.unexpected(`"]"`)
		}
	} else if p.token.text != "." && slices.Contains(JoinRules(), name.text) {
		return joinRule(name.text), nil
	}
	if !slices.Contains(p.tasks, name.text) {
		return nil, p.unknownTask(name)
	}
	if !p.accept(".") {
		return nil, p.unexpected(fmt.Sprintf(`".succeeded" or another state of task %q`, name.text))
	}
	flag, ok := upshotNames[p.token.text]
	if p.token.kind != tokenWord || !ok {
		err := errorAt(CodeExpression, p.token.offset,
			"a task has no %q; it has succeeded, failed, killed, skipped, unreached, ended", p.token.text)
		return nil, err.suggest(p.token.text, sortedKeys(upshotNames))
	}
	p.next()
	p.names = append(p.names, name.text)
	return joinTask{name.text, flag}, nil
}

func (p *joinParser) unknownTask(name joinToken) error {
	err := errorAt(CodeUnknownTask, name.offset, "%q is not among the tasks before this one", name.text)
	if len(p.tasks) == 0 {
		err.Message += "; this task has none, name one in needs"
		return err
	}
	// every-day.failed reads as the word every: it takes quotes.
	for _, t := range p.tasks {
		if rest := p.lexer.text[name.offset:]; name.kind == tokenWord && len(t) > len(name.text) && len(rest) >= len(t) && rest[:len(t)] == t {
			err.Suggestion = t
			err.Message += fmt.Sprintf("; write tasks[%q]", t)
			return err
		}
	}
	return err.suggest(name.text, append(JoinRules(), p.tasks...))
}
