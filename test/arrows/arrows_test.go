// Package arrows guards the house: who may import whom, and that pure packages are pure. It reads
// the source only, so it also works while something does not compile.
//
// The table below is the one place where an arrow is written down; .golangci.yaml gets its
// depguard rules from it (go test ./test/arrows -update), so that an editor shows a wrong import
// as it is typed.
package arrows

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the arrows into .golangci.yaml")

const (
	root   = "../.."
	module = "baton/"
)

// house is a package, or with /* every package right below it, or with /... it and all below.
type house struct {
	path string
	// may lists what it may import of ours, besides what lies below itself.
	may []string
	why string // for who meets the rule
}

// houses is the drawing of ARCHITECTURE.md: an arrow that is not here does not exist.
var houses = []house{
	{"cmd/...", []string{"internal/cli"}, "main starts the command line, nothing else"},
	{"internal/cli/...", []string{"internal/..."}, "only wire.go names concrete backends"},
	{"internal/api/...", []string{"internal/auth", "internal/cascade", "internal/secret", "internal/timetable", "internal/trigger", "internal/cron", "internal/flow"}, "it speaks interfaces of its own and of flow, and foresees the times of schedules, and what follows from a backfill"},
	{"internal/master/...", []string{"internal/dispatch", "internal/engine", "internal/attempt", "internal/assign", "internal/timetable", "internal/trigger", "internal/cron", "internal/param", "internal/task", "internal/registry", "internal/rpc", "internal/clock", "internal/machine", "internal/flow"}, "it never names a store or a backend of the registry, and it knows the contract of task types, not the types"},
	{"internal/worker/...", []string{"internal/attempt", "internal/assign", "internal/param", "internal/secret", "internal/task", "internal/rpc", "internal/clock", "internal/machine", "internal/flow"}, "it knows attempts, never workflows, stores or concrete types"},
	{"internal/dispatch/...", []string{"internal/attempt", "internal/assign", "internal/flow"}, "it knows attempts, not what they are for"},
	{"internal/engine/...", []string{"internal/attempt", "internal/assign", "internal/cron", "internal/window", "internal/param", "internal/task", "internal/flow"}, "it is pure"},
	{"internal/spec/...", []string{"internal/attempt", "internal/timetable", "internal/trigger", "internal/cron", "internal/param", "internal/task", "internal/flow"}, "files in, definitions out; it is given the task types"},
	{"internal/attempt/...", []string{"internal/flow"}, "it is pure and knows single tries"},
	{"internal/assign/...", []string{"internal/flow"}, "it is pure"},
	{"internal/timetable/...", []string{"internal/cron", "internal/flow"}, "it is pure"},
	{"internal/cascade/...", []string{"internal/timetable", "internal/window", "internal/flow"}, "it is pure: definitions and schedules in, a plan out; it knows no run"},
	{"internal/trigger/...", []string{"internal/param", "internal/flow"}, "it is pure: events in, starts out"},
	{"internal/cron/...", []string{"internal/flow"}, "it is pure"},
	{"internal/param/...", []string{"internal/flow"}, "it is pure"},
	{"internal/window/...", []string{"internal/flow"}, "it is pure: a data time in, stretches of time out; it knows no run"},
	{"internal/ical/...", []string{"internal/flow"}, "bytes in, dates out; it knows no calendar of ours"},
	{"internal/task", []string{"internal/flow"}, "the contract; types lie below it"},
	{"internal/task/all", []string{"internal/task", "internal/task/..."}, "the list"},
	{"internal/task/hosted", []string{"internal/task", "internal/param", "internal/window", "internal/flow"}, "what the engine runs itself has parameters and windows, and no worker"},
	{"internal/task/*", []string{"internal/task", "internal/datasource", "internal/flow"}, "task types do not know each other"},
	{"internal/auth/...", []string{"internal/flow"}, "who may do what"},
	{"internal/lookout", []string{"internal/trigger", "internal/secret", "internal/clock", "internal/flow"}, "how the outside is asked lies below it; trigger decides"},
	{"internal/lookout/*", []string{"internal/lookout", "internal/datasource", "internal/flow"}, "ways to ask the outside do not know each other"},
	{"internal/datasource/...", []string{"internal/flow"}, "data sources in, settings of drivers out"},
	{"internal/secret/...", []string{"internal/flow"}, "it takes secrets from where a host has them"},
	{"internal/clock/...", []string{"internal/flow"}, "it tells the time"},
	{"internal/machine/...", nil, "it measures, and knows nobody"},
	{"internal/registry", []string{"internal/flow"}, "the contract; backends lie below it"},
	{"internal/registry/client", []string{"internal/registry", "internal/clock", "internal/flow"}, "what clients of every registry decide alike; backends lie beside it"},
	{"internal/registry/*", []string{"internal/registry", "internal/registry/client", "internal/clock", "internal/flow"}, "backends do not know each other, and reach the database by an interface of their own"},
	{"internal/peer/...", []string{"internal/registry", "internal/rpc", "internal/flow"}, "it carries hints and views between processes"},
	{"internal/rpc/...", []string{"internal/flow"}, "it carries frames"},
	{"internal/store/...", []string{"internal/flow"}, "rows in and out; it decides nothing"},
	{"internal/flow/...", nil, "the domain imports the standard library only"},
}

// pure packages have no clock, no I/O and no goroutine: the same question has the same answer.
var pure = []string{"internal/flow", "internal/attempt", "internal/assign", "internal/cascade", "internal/cron", "internal/timetable", "internal/trigger", "internal/param", "internal/window", "internal/engine", "internal/dispatch"}

// impure is what a pure package does not import. time stays: its types are needed, its clock is
// looked for below.
var impure = []string{"os", "os/exec", "os/signal", "io/ioutil", "net", "net/http", "net/rpc", "database/sql", "syscall", "log", "log/slog", "runtime", "math/rand", "math/rand/v2", "crypto/rand", "context"}

var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// concrete backends are named by wire.go alone.
var concrete = []string{"internal/store/...", "internal/registry/*", "internal/lookout/*", "internal/queue/..."}

func TestArrowsOnlyFall(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		h, known := find(f.pkg)
		if !known {
			t.Errorf("%s: package %s has no place in the house; give it a line in %s", f.name, f.pkg, "test/arrows/arrows_test.go")
			continue
		}
		for _, imported := range f.imports {
			if of, ours := strings.CutPrefix(imported, module); ours && !h.allows(f.pkg, of) {
				t.Errorf("%s imports %s: %s", f.name, imported, h.why)
			}
		}
	}
}

func TestFlowImportsTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if !matches("internal/flow/...", f.pkg) {
			continue
		}
		for _, imported := range f.imports {
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", f.name, imported)
			}
		}
	}
}

func TestPurePackagesArePure(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if !slices.Contains(pure, f.pkg) {
			continue
		}
		for _, imported := range f.imports {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s: %s is pure", f.name, imported, f.pkg)
			}
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine: %s is pure", f.at(n), f.pkg)
			case *ast.SelectStmt:
				t.Errorf("%s selects: %s is pure", f.at(n), f.pkg)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s reads the clock (time.%s): %s is told the time", f.at(n), n.Sel.Name, f.pkg)
				}
			}
			return true
		})
	}
}

func TestOnlyWireNamesBackends(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.pkg != "internal/cli" || path.Base(f.name) == "wire.go" {
			continue
		}
		for _, imported := range f.imports {
			for _, backend := range concrete {
				if matches(backend, strings.TrimPrefix(imported, module)) {
					t.Errorf("%s imports %s: wire.go alone names concrete backends", f.name, imported)
				}
			}
		}
	}
}

const (
	begin = "      # arrows: made from test/arrows, make generate\n"
	end   = "      # arrows: end\n"
)

func TestLintHasTheSameArrows(t *testing.T) {
	t.Parallel()
	name := filepath.Join(root, ".golangci.yaml")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := bytes.Cut(raw, []byte(begin))
	_, after, found := bytes.Cut(rest, []byte(end))
	if !found {
		t.Fatalf("%s has no block from %q to %q", name, begin, end)
	}
	want := slices.Concat(before, []byte(begin), rules(), []byte(end), after)
	if bytes.Equal(raw, want) {
		return
	}
	if !*update {
		t.Fatal(".golangci.yaml has other arrows than this test; run: make generate")
	}
	if err := os.WriteFile(name, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// rules writes the houses as depguard rules: everything of ours is denied but what is listed. A
// deny entry is a prefix, $ ends it.
func rules() []byte {
	var b bytes.Buffer
	b.WriteString("      rules:\n")
	for _, h := range houses {
		name := strings.NewReplacer("internal/", "", "/...", "", "/*", "-types", "/", "-").Replace(h.path)
		files := []string{"**/" + glob(h.path)}
		for _, other := range houses { // a narrower line of the table wins over a wider one
			if h.path != other.path && matches(h.path, other.path) {
				files = append(files, "!**/"+glob(other.path))
			}
		}
		files = append(files, "!$test")
		fmt.Fprintf(&b, "        %s:\n          list-mode: lax\n          files: [%s]\n", name, quoted(files))
		allow := h.may
		if own, below := strings.CutSuffix(h.path, "/..."); below {
			allow = append([]string{own}, allow...)
		}
		fmt.Fprintf(&b, "          deny: [{pkg: %s, desc: %q}]\n", strings.TrimSuffix(module, "/"), h.why)
		if len(allow) > 0 {
			entries := make([]string, len(allow))
			for i, a := range allow {
				entries[i] = module + strings.TrimSuffix(a, "/...")
				if !strings.HasSuffix(a, "/...") && a != strings.TrimSuffix(h.path, "/...") {
					entries[i] += "$" // this package, not those below it
				}
			}
			slices.Sort(entries)
			entries = slices.DeleteFunc(slices.Compact(entries), func(e string) bool { // depguard looks at one entry only
				return slices.ContainsFunc(entries, func(wide string) bool {
					return e != wide && !strings.HasSuffix(wide, "$") && (strings.TrimSuffix(e, "$") == wide || strings.HasPrefix(e, wide+"/"))
				})
			})
			fmt.Fprintf(&b, "          allow: [%s]\n", quoted(entries))
		}
	}
	return b.Bytes()
}

func glob(pattern string) string {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir + "/**"
	}
	return pattern + "/*.go"
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}

// find returns the line of the table for a package: the first that fits, so narrow ones stand
// above wide ones.
func find(pkg string) (house, bool) {
	for _, h := range houses {
		if matches(h.path, pkg) {
			return h, true
		}
	}
	return house{}, false
}

func (h house) allows(from, to string) bool {
	if strings.HasSuffix(h.path, "/...") && matches(h.path, to) {
		return true // siblings inside one house are its own affair
	}
	return slices.ContainsFunc(h.may, func(pattern string) bool { return matches(pattern, to) })
}

// matches reads a, a/* and a/... as the go command does.
func matches(pattern, pkg string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == dir || strings.HasPrefix(pkg, dir+"/")
	}
	if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		return path.Dir(pkg) == dir
	}
	return pkg == pattern
}

type source struct {
	name    string // from the root of the repository
	pkg     string
	imports []string
	tree    *ast.File
	set     *token.FileSet
}

func (s source) at(n ast.Node) string {
	return s.name + ":" + strconv.Itoa(s.set.Position(n.Pos()).Line)
}

// sources are the files of the program, without tests and what serves only tests.
func sources(t *testing.T) []source {
	t.Helper()
	set := token.NewFileSet()
	found := map[string]source{}
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && (entry.Name() == "testdata" || strings.HasSuffix(entry.Name(), "test")) {
				return filepath.SkipDir
			}
			if entry.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return nil
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			s := source{name: filepath.ToSlash(name), pkg: path.Dir(filepath.ToSlash(name)), tree: tree, set: set}
			for _, i := range tree.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				s.imports = append(s.imports, imported)
			}
			found[s.name] = s
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 50 {
		t.Fatalf("only %d files found below %s: the test looks in the wrong place", len(found), root)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b source) int { return strings.Compare(a.name, b.name) })
}
