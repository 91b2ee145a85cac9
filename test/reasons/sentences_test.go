package reasons

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/test/harness"
)

// sentence is a reason to wait as the source makes it: a code, a colon and words, with gaps.
type sentence struct {
	code  string
	words string // as people would read it, "…" for each gap
	where string // file of the source
	like  *regexp.Regexp
}

// said is where sentences are made.
var said = []string{"internal/flow", "internal/engine", "internal/master", "internal/dispatch", "internal/api", "internal/store", "internal/timetable"}

// sentences reads all of them from the source. A constant flow.ReasonX that something is joined to, by + or by a format that
// begins with "%s: ", begins one.
func sentences(t *testing.T) []sentence {
	t.Helper()
	files := map[string]*ast.File{}
	for _, dir := range said {
		err := filepath.WalkDir(filepath.Join(harness.Root(), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && strings.HasSuffix(path, "storetest") {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			files[path] = f
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	codes := reasonConstants(files)
	var out []sentence
	for path, f := range files {
		rel, _ := filepath.Rel(harness.Root(), path)
		var in []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				in = in[:len(in)-1]
				return true
			}
			if code, words := begins(n, codes); code != "" && !within(in, codes) {
				out = append(out, sentenceOf(code, words, rel))
			}
			in = append(in, n)
			return true
		})
	}
	for name, value := range codes { // constants that are sentences themselves
		if code, words, ok := strings.Cut(value, ": "); ok {
			out = append(out, sentenceOf(code, words, name))
		}
	}
	slices.SortFunc(out, func(a, b sentence) int { return strings.Compare(a.code+a.words, b.code+b.words) })
	return slices.CompactFunc(out, func(a, b sentence) bool { return a.code == b.code && a.words == b.words })
}

// reasonConstants are the texts of all constants ReasonX, by name.
func reasonConstants(files map[string]*ast.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok {
				for i, name := range v.Names {
					if strings.HasPrefix(name.Name, "Reason") || name.Name == "Unreached" {
						if i < len(v.Values) {
							out[name.Name] = text(v.Values[i])
						}
					}
				}
			}
			return true
		})
	}
	return out
}

// text is the value of a literal, "" of anything else.
func text(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(l.Value)
	return s
}

// reasonOf is the code that an expression names, "" if it names none.
func reasonOf(e ast.Expr, codes map[string]string) string {
	switch x := e.(type) {
	case *ast.SelectorExpr:
		return codes[x.Sel.Name]
	case *ast.Ident:
		return codes[x.Name]
	}
	return ""
}

const gap = "…"

// begins tells of an expression that makes a sentence which code it has, and its words.
func begins(n ast.Node, codes map[string]string) (code, words string) {
	switch x := n.(type) {
	case *ast.BinaryExpr:
		parts := joined(x)
		at := slices.IndexFunc(parts, func(e ast.Expr) bool { return reasonOf(e, codes) != "" }) // something may stand before it
		if at < 0 || at+1 == len(parts) || !strings.HasPrefix(text(parts[at+1]), ": ") {
			return "", ""
		}
		code = reasonOf(parts[at], codes)
		for _, p := range parts[at+1:] {
			if s := text(p); s != "" {
				words += s
			} else {
				words += gap
			}
		}
		return code, strings.TrimPrefix(words, ": ")
	case *ast.CallExpr:
		if len(x.Args) < 2 {
			return "", ""
		}
		format, isOne := strings.CutPrefix(text(x.Args[0]), "%s: ")
		if code = reasonOf(x.Args[1], codes); code == "" || !isOne {
			return "", ""
		}
		return code, verbs.ReplaceAllString(format, gap)
	}
	return "", ""
}

var verbs = regexp.MustCompile(`%[a-z]`)

// within tells whether one of the nodes around is a sentence already, of which this is a part.
func within(in []ast.Node, codes map[string]string) bool {
	return slices.ContainsFunc(in, func(n ast.Node) bool { code, _ := begins(n, codes); return code != "" })
}

// joined takes a + b + c apart.
func joined(e ast.Expr) []ast.Expr {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.ADD {
		return append(joined(b.X), b.Y)
	}
	return []ast.Expr{e}
}

func sentenceOf(code, words, where string) sentence {
	like := regexp.QuoteMeta(code + ": " + words)
	return sentence{code, words, where, regexp.MustCompile("(^|; )" + strings.ReplaceAll(like, gap, ".*"))}
}

// Codes of waits that are written out, and not named, would be missed above.
func TestCodesAreNamed(t *testing.T) {
	t.Parallel()
	looks := regexp.MustCompile(`^(` + strings.Join(waitCodes(), "|") + `): `)
	for _, dir := range said {
		files, err := filepath.Glob(filepath.Join(harness.Root(), dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && looks.MatchString(text(l)) && !strings.HasPrefix(text(l), flow.ReasonSubmitted) {
					t.Errorf("%s: %s: write the code as a constant of flow", path, l.Value)
				}
				return true
			})
		}
	}
}

func waitCodes() []string {
	var out []string
	for _, w := range flow.Waits {
		out = append(out, w.Code)
	}
	return out
}

// Every sentence has a code that docs/reasons.md tells about.
func TestCodesAreListed(t *testing.T) {
	t.Parallel()
	all := sentences(t)
	for _, s := range all {
		if !slices.Contains(waitCodes(), s.code) {
			t.Errorf("%s: %s: %s: no line in flow.Waits has this code", s.where, s.code, s.words)
		}
	}
	for _, code := range waitCodes() {
		if !slices.ContainsFunc(all, func(s sentence) bool { return s.code == code }) {
			t.Errorf("flow.Waits has %s, which nothing says", code)
		}
	}
	if testing.Verbose() {
		for _, s := range all {
			t.Logf("%s  %s: %s", s.where, s.code, s.words)
		}
	}
}
