// References: ${…}, ${{ … }}, $[…] and expressions, as far as the file alone can tell.
//
// A plain ${name} is never refused: an output of a task before, a project's parameter or -p may give
// it a value, and none of them is in the file. What can be known is whether a text is of the grammar,
// whether T.name names a task that runs before, and whether a name with a dot is one of the engine's.

package spec

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
	"golang.org/x/text/unicode/norm"

	"baton/internal/flow"
	"baton/internal/param"
	"baton/internal/task"
)

// scope is where a text stands: what it may refer to.
type scope struct {
	*reader
	g    *graph
	task int  // number of the task, noTask outside of one
	self bool // a compensation also sees the outputs of the task it undoes
	// inner is the map or loop within which it stands.
	inner *flow.Task
}

const noTask = -1

// Where texts stand that belong to no task.
const (
	atStart = iota // before any task has run
	atEnd          // after all of them
)

// references checks every text of the workflow that may refer to something.
func (r *reader) references(w *workflow, g *graph) {
	if params, ok := w.at.get("params"); ok && params.isMap() {
		s := scope{reader: r, g: g, task: noTask - atStart}
		for _, v := range params.entries() {
			if v.isMap() {
				v = v.at("default")
			}
			s.refsOnly(v)
		}
	}
	for _, part := range []string{"execution", "rate"} {
		if key, ok := w.at.at(part).get("key"); ok {
			s := scope{reader: r, g: g, task: noTask - atStart}
			s.texts(key)
		}
	}
	if outputs, ok := w.at.get("outputs"); ok {
		s := scope{reader: r, g: g, task: noTask - atEnd}
		s.texts(outputs)
	}
	for i := range g.tasks {
		r.taskReferences(w, g, i)
	}
}

func (r *reader) taskReferences(w *workflow, g *graph, i int) {
	t, at := g.tasks[i], g.at[i]
	s := scope{reader: r, g: g, task: i}
	s.common(at, t.Type, t.Substitute)
	if v, ok := at.get("when"); ok {
		s.condition(v)
	}
	if v, ok := at.get("join"); ok && t.Join != "" {
		s.join(v, t)
	}
	s.poolKey(at)
	switch t.Type {
	case flow.TypeSwitch:
		if cases, ok := at.at("with").get("cases"); ok {
			for _, c := range cases.items() {
				if when, ok := c.get("when"); ok {
					s.condition(when)
				}
			}
		}
	case flow.TypeConditions:
		if v, ok := at.at("with").get("if"); ok {
			s.upstreams(v, t.Needs)
		}
	case flow.TypeSubWorkflow:
		r.notItself(w, at.at("with"))
	case flow.TypeMap, flow.TypeLoop:
		s.fanReferences(at, t)
	}
	if c, ok := at.get("compensate"); ok && c.isMap() {
		s.self = true
		s.common(c, t.Compensate.Type, t.Substitute)
	}
}

func (s scope) poolKey(at value) {
	if v, ok := at.at("pool").get("key"); ok {
		s.texts(v)
	}
}

// notItself refuses a workflow that runs itself. What runs itself through others is found when it runs.
func (r *reader) notItself(w *workflow, with value) {
	v, named := with.get("workflow")
	project, elsewhere := with.get("project")
	if named && v.node.Value == w.Name && (!elsewhere || project.node.Value == w.Project) {
		r.fail(v, "workflow %s would run within itself, and without an end", w.Name)
	}
}

// common checks what tasks and compensations share.
func (s scope) common(at value, kind string, mode flow.Substitute) {
	if v, ok := at.get("params"); ok {
		s.texts(v)
	}
	if v, ok := at.get("env"); ok && v.isMap() {
		for _, e := range v.entries() {
			if e.isScalar() {
				s.texts(e)
			}
		}
	}
	if run, ok := at.get("run"); ok && kind == typeShell {
		s.script(run, kind, mode)
	}
	with, ok := at.get("with")
	if !ok || !with.isMap() {
		return
	}
	schema := s.types.schemas[kind]
	for k, v := range with.entries() {
		if o, known := schema.Option(k.Value); known && (!flow.Fans(kind) || !slices.Contains(besideOf(kind), k.Value)) {
			s.option(v, kind, o.Kind, mode)
		}
	}
}

func (s scope) option(v value, taskType string, kind task.Kind, mode flow.Substitute) {
	switch kind {
	case task.Text, task.TextMap, task.TextList, task.AnyValue, task.Integer, task.Boolean, task.DurationOption:
		s.texts(v)
	case task.Script:
		s.script(v, taskType, mode)
	case task.Expression, task.ExpressionMap, task.Plain, task.DataSourceOption, task.FileOption, task.Tasks, task.Nested:
		// evaluated by the type itself, or no text with references
	}
}

// texts checks a text, or all texts of a list or map.
func (s scope) texts(v value) {
	switch {
	case v.isMap():
		for _, child := range v.entries() {
			s.texts(child)
		}
	case v.isList():
		for _, child := range v.items() {
			s.texts(child)
		}
	case v.isScalar() && strings.Contains(v.node.Value, "$"):
		if t, ok := s.template(v, v.node.Value); ok {
			s.refs(v, t.Refs())
		}
	}
}

// refsOnly is texts for what was compiled, and its faults reported, before.
func (s scope) refsOnly(v value) {
	if !v.isScalar() {
		return
	}
	if t, err := param.Compile(v.node.Value); err == nil {
		s.refs(v, t.Refs())
	}
}

// template compiles a text and reports what is wrong with it.
func (r *reader) template(v value, text string) (*param.Template, bool) {
	t, err := param.Compile(text)
	if err != nil {
		r.failIn(v, text, err)
		return nil, false
	}
	return t, true
}

func (s scope) script(v value, taskType string, mode flow.Substitute) {
	if !v.isScalar() || !strings.Contains(v.node.Value, "$") {
		return
	}
	if mode == "" {
		mode = flow.SubstituteEnv
	}
	if _, err := param.CompileScript(v.node.Value, param.Substitute(mode), s.g.isTask); err != nil {
		s.failIn(v, v.node.Value, err)
		return
	}
	if taskType == typeShell {
		if err := param.CheckShellNames(v.node.Value, param.Substitute(mode), s.given); err != nil {
			s.failIn(v, v.node.Value, err)
		}
	}
}

// given tells the parameters that the file itself gives the task.
func (s scope) given(name string) bool {
	name = norm.NFC.String(name)
	if s.inner != nil && (name == s.item() || slices.ContainsFunc(s.inner.Inner.Params, func(p flow.Pair) bool { return p.Name == name })) {
		return true
	}
	return s.declared(name) || s.task >= 0 && slices.ContainsFunc(s.g.tasks[s.task].Params, func(p flow.Pair) bool { return p.Name == name })
}

// condition checks an expression over parameters.
func (s scope) condition(v value) {
	if !v.isScalar() || v.isNull() {
		return
	}
	e, err := param.CompileExpression(v.node.Value)
	if fault, ok := errors.AsType[*param.Error](err); ok {
		s.failIn(v, v.node.Value, &param.Error{Message: "not an expression: " + fault.Message, Offset: fault.Offset, Suggestion: fault.Suggestion})
		return
	}
	s.refs(v, e.Refs())
}

// join checks a join rule; a conditions task has its own.
func (s scope) join(v value, t *flow.Task) {
	switch {
	case t.Type == flow.TypeConditions && t.Join != flow.JoinAllDone:
		s.fail(v, "a conditions task waits for all it needs, however they end (all_done); leave join out")
	case len(t.Needs) == 0:
		s.fail(v, "join says how to wait for the tasks in needs, and there are none")
	default:
		s.upstreams(v, t.Needs)
	}
}

// upstreams checks an expression over the ends of the tasks in needs.
func (s scope) upstreams(v value, needs []string) {
	if !v.isScalar() || v.isNull() {
		return
	}
	_, err := param.CompileJoin(v.node.Value, needs)
	var fault *param.Error
	if !errors.As(err, &fault) {
		return
	}
	if fault.Code == param.CodeUnknownTask {
		if name := firstQuoted(fault.Message); s.g.isTask(name) {
			message := fmt.Sprintf("%s is not in needs of this task; an expression knows only the tasks in needs", shown(name))
			if s.g.final(s.task) && !s.g.final(s.g.index[name]) {
				message = fmt.Sprintf("%s is under tasks; here an expression knows tasks under finally alone. How the run ended is in %s and %s, for `when` and the cases of a switch", shown(name), param.RunState, param.RunFailedTasks)
			}
			err = &param.Error{Offset: fault.Offset, Message: message}
		}
	}
	s.failIn(v, v.node.Value, err)
}

// firstQuoted is the name an error is about, which it has in quotes.
func firstQuoted(message string) string {
	_, rest, _ := strings.Cut(message, `"`)
	quoted, err := strconv.QuotedPrefix(`"` + rest)
	if err != nil {
		return ""
	}
	name, _ := strconv.Unquote(quoted)
	return name
}

// refs checks names: what has a dot must be an output of a task before, or the engine's.
func (s scope) refs(v value, refs []param.Ref) {
	for _, ref := range refs {
		if message, near := s.ref(ref); message != "" {
			s.failIn(v, v.node.Value, &param.Error{Message: message, Offset: ref.Offset, Suggestion: near})
		}
	}
}

func (s scope) ref(ref param.Ref) (message, near string) {
	if !norm.NFC.IsNormalString(ref.Name) {
		return fmt.Sprintf("name %s is not in Unicode normal form NFC; type it anew", shown(ref.Name)), ""
	}
	if !strings.Contains(ref.Name, ".") || ref.Root != "" && s.declared(ref.Root) {
		return "", ""
	}
	if name, _, ok := param.SplitTaskRef(ref.Name, s.g.isTask); ok {
		return s.before(ref.Name, s.g.index[name]), ""
	}
	head, _, _ := strings.Cut(ref.Name, ".")
	switch head {
	case "system":
		if slices.Contains(param.BuiltinNames(), ref.Name) {
			return "", ""
		}
		near = s.problems.nearest(ref.Name, param.BuiltinNames())
		return withNear(fmt.Sprintf("there is no built-in parameter %s", shown(ref.Name)), near), near
	case "shard":
		return fmt.Sprintf("%s exists only in a task with shards, which is not supported yet", shown(ref.Name)), ""
	case "map", "loop":
		return s.fanRef(ref.Name, head)
	case "run":
		return s.runRef(ref.Name)
	}
	if near = s.problems.nearest(head, s.g.allNames()); near != "" {
		near += strings.TrimPrefix(ref.Name, head)
	}
	return withNear(fmt.Sprintf("%s means nothing: there is no task %s, and a parameter's name has no dot", shown(ref.Name), shown(head)), near), near
}

// runRef checks a name of what the tasks know of a run that run at its end.
func (s scope) runRef(name string) (message, near string) {
	names := []string{param.RunState, param.RunFailedTasks}
	switch {
	case s.task < 0 || !s.g.final(s.task):
		return fmt.Sprintf("%s exists only in tasks under finally", shown(name)), ""
	case slices.Contains(names, name):
		return "", ""
	}
	near = s.problems.nearest(name, names)
	return withNear(fmt.Sprintf("a run has no %s; there are %s", shown(name), strings.Join(names, ", ")), near), near
}

func withNear(message, near string) string {
	if near == "" {
		return message
	}
	return message + fmt.Sprintf("; did you mean %q?", near)
}

// declared tells parameters of the workflow.
func (s scope) declared(name string) bool {
	return slices.ContainsFunc(s.g.w.Params, func(p flow.Param) bool { return p.Name == name })
}

// before says why a task's output cannot be had here, "" when it can.
func (s scope) before(name string, u int) string {
	task := s.g.tasks[u].Name
	switch {
	case s.task < 0 && s.task != noTask-atStart && s.g.final(u):
		return fmt.Sprintf("%s is an output of task %s, which is under finally; the outputs of a run are taken before that begins", shown(name), shown(task))
	case s.task == noTask-atEnd:
		return ""
	case s.task >= 0 && s.g.final(s.task) && !s.g.final(u):
		return ""
	case s.task >= 0 && s.g.final(u) && !s.g.final(s.task):
		return fmt.Sprintf("%s is an output of task %s, which is under finally and runs when all tasks have ended", shown(name), shown(task))
	case s.task == noTask-atStart:
		return fmt.Sprintf("%s is an output of task %s; this text has its value before any task runs", shown(name), shown(task))
	case s.task == u && s.self, s.task != u && s.g.upstream(s.task, u):
		return ""
	case s.task == u:
		return fmt.Sprintf("%s is an output of this task itself, which it has only when it ends", shown(name))
	default:
		return fmt.Sprintf("%s is an output of task %s, which does not run before this one; add it to needs", shown(name), shown(task))
	}
}

// failIn reports a fault inside a text, at the line and column of the file where that can be told.
func (r *reader) failIn(v value, text string, err error) {
	var fault *param.Error
	if !errors.As(err, &fault) {
		r.fail(v, "%s", err.Error())
		return
	}
	line, column := r.inside(v.node, text, fault.Offset)
	e := r.failAt(line, column, v.path(), flow.CodeInvalidFile, fault.Message)
	e.Suggestion = fault.Suggestion
}

// inside finds the place of a byte of a scalar's text. Quotes, escapes and folding move it: then the
// words at the place are looked for, and without luck it is where the scalar begins.
func (r *reader) inside(n *yaml.Node, text string, offset int) (line, column int) {
	offset = min(max(offset, 0), len(text))
	begin := strings.LastIndexByte(text[:offset], '\n') + 1
	words, _, _ := strings.Cut(text[offset:], "\n")
	line = n.Line
	from := min(n.Column-1, utf8.RuneCountInString(r.source.line(n.Line)))
	if n.Style&yaml.LiteralStyle != 0 {
		line, from = n.Line+1+strings.Count(text[:offset], "\n"), 0
		words = text[begin:offset] + words
	}
	src := []rune(r.source.line(line))
	if from < 0 || from > len(src) || words == "" {
		return n.Line, n.Column
	}
	if n.Style&yaml.LiteralStyle == 0 {
		words = string([]rune(words)[:min(24, utf8.RuneCountInString(words))])
	}
	i := strings.Index(string(src[from:]), words)
	if i < 0 {
		return n.Line, n.Column
	}
	column = from + utf8.RuneCountInString(string(src[from:])[:i]) + 1
	if n.Style&yaml.LiteralStyle != 0 {
		column += utf8.RuneCountInString(text[begin:offset])
	}
	return line, column
}
