// The Dockerfile, parsed by BuildKit's own packages.

package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func parseImages(t *testing.T) (stages map[string]instructions.Stage, args map[string]string) {
	t.Helper()
	file, err := os.Open(images)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tree, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tree.Warnings {
		t.Errorf("warning: %s", w.Short)
	}
	list, meta, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	stages, args = map[string]instructions.Stage{}, map[string]string{}
	for _, s := range list {
		stages[s.Name] = s
	}
	for _, a := range meta {
		for _, pair := range a.Args {
			args[pair.Key] = pair.ValueString()
		}
	}
	return stages, args
}

// of returns the instructions of a kind of a stage and of those below it, in the order of the build.
func of[T any](stages map[string]instructions.Stage, name string) []T {
	s, ok := stages[name]
	if !ok {
		return nil
	}
	out := of[T](stages, s.BaseName)
	for _, c := range s.Commands {
		if i, ok := c.(T); ok {
			out = append(out, i)
		}
	}
	return out
}

func last[T any](list []T) (v T) {
	if len(list) > 0 {
		v = list[len(list)-1]
	}
	return v
}

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	_, args := parseImages(t)
	for _, name := range []string{"GO", "DEBIAN"} {
		if !regexp.MustCompile(`:\d+\.\d`).MatchString(args[name]) {
			t.Errorf("%s is %q", name, args[name])
		}
	}
	wants := regexp.MustCompile(`(?m)^go (\S+)`).FindStringSubmatch(read(t, root+"/go.mod"))[1]
	if !strings.HasPrefix(args["GO"], "golang:"+wants+"-") {
		t.Errorf("the image is built with %s, go.mod says %s", args["GO"], wants)
	}
}

func TestImagesRunTheProgram(t *testing.T) {
	t.Parallel()
	stages, _ := parseImages(t)
	for _, target := range []string{"server", "worker"} {
		if user := last(of[*instructions.UserCommand](stages, target)); user == nil || user.User != "10001:10001" {
			t.Errorf("%s runs as %+v", target, user)
		}
		if entry := last(of[*instructions.EntrypointCommand](stages, target)); entry == nil || !slices.Equal(entry.CmdLine, []string{"/usr/local/bin/baton"}) || entry.PrependShell {
			t.Errorf("%s: entrypoint %+v", target, entry)
		}
		said := map[string]string{}
		for _, e := range of[*instructions.EnvCommand](stages, target) {
			for _, pair := range e.Env {
				if name, ok := setting(pair.Key); ok {
					said[name] = pair.Value
				}
			}
		}
		accepted(t, target, said)
		known := flags(t, "standalone")
		for _, r := range roles {
			known = append(known, flags(t, r)...)
		}
		for name := range said {
			if !slices.Contains(known, name) {
				t.Errorf("%s: no role has the setting %s", target, name)
			}
		}
		if said["admin-listen"] != ":7079" {
			t.Errorf("%s: the admin port is %s", target, said["admin-listen"])
		}
		health := last(of[*instructions.HealthCheckCommand](stages, target))
		if asks := health != nil && health.Health != nil && slices.Contains(health.Health.Test, "http://127.0.0.1:7079/livez"); asks != (target == "server") {
			t.Errorf("%s: health %+v", target, health)
		}
	}
	installed := ""
	for _, r := range of[*instructions.RunCommand](stages, "worker") {
		installed += strings.Join(r.CmdLine, " ") + " "
	}
	for _, name := range []string{"ca-certificates", "curl", "tzdata", "bash", "procps", "python3"} {
		if !strings.Contains(installed, " "+name+" ") {
			t.Errorf("workers have no %s", name)
		}
	}
}

// The build sees what it copies, and everything that the program is made of.
func TestBuildContextIsWhatTheProgramNeeds(t *testing.T) {
	t.Parallel()
	stages, _ := parseImages(t)
	ignore := strings.Split(read(t, images+".dockerignore"), "\n")
	for _, stage := range []string{"build", "base"} {
		for _, c := range of[*instructions.CopyCommand](stages, stage) {
			for _, path := range c.SourcePaths {
				if c.From != "" {
					continue
				}
				path = filepath.Clean(path)
				if _, err := os.Stat(filepath.Join(root, path)); err != nil {
					t.Error(err)
				}
				if !slices.Contains(ignore, "!"+path) {
					t.Errorf("%s is copied, and left out of what is sent to the builder", path)
				}
			}
		}
	}
}
