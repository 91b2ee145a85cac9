package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func create(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create(t, dir, "a.csv", "b.json", "c.txt", "sub/d.csv", "sub/deep/e.csv", ".hidden.csv", ".cache/h.csv", "wörld.csv")
	for link, to := range map[string]string{"link.csv": "c.txt", "broken.csv": "nowhere", "loop": ".", "self.csv": "self.csv", "through.csv": "a.csv/x", "sub/up": ".."} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string][]string{
		"*.csv":        {"a.csv", "link.csv", "wörld.csv"},
		"[ab].*":       {"a.csv", "b.json"},
		"*.{csv,json}": {"a.csv", "b.json", "link.csv", "wörld.csv"},
		"**/*.csv":     {"a.csv", "link.csv", "sub/d.csv", "sub/deep/e.csv", "wörld.csv"},
		"sub/*/?.csv":  {"sub/deep/e.csv"},
		"a.csv":        {"a.csv"},
		".*.csv":       {".hidden.csv"},
		"**/**/?.csv":  {"a.csv", "sub/d.csv", "sub/deep/e.csv"},
		"none":         nil,
		"none/*":       nil,
		"*/none/*.csv": nil,
	} {
		found, trouble, err := Find(filepath.Join(dir, pattern))
		if pattern == "none/*" {
			if err == nil || !strings.Contains(err.Error(), "none cannot be read on the master's host: no such file or directory") {
				t.Errorf("%s: %v", pattern, err)
			}
			continue
		}
		if err != nil || trouble != "" {
			t.Errorf("%s: %v %s", pattern, err, trouble)
		}
		var got []string
		for _, f := range found {
			name, _ := filepath.Rel(dir, f.Path)
			got = append(got, name)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", pattern, got, want)
		}
	}
}

// When a file came is told by when it was put there, not by when it was written.
func TestWhenItCame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create(t, dir, "part")
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(dir, "part"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "part"), filepath.Join(dir, "whole")); err != nil {
		t.Fatal(err)
	}
	found, _, err := Find(filepath.Join(dir, "whole"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if f := found[0]; f.Modified != old.UnixNano() || f.Size != 4 || time.Since(f.CameAt.Std()) > 30*time.Minute {
		t.Errorf("%+v", f)
	}
}

func TestCannotFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create(t, dir, "bad\xff.csv", "good.csv", "sub/x.csv", "shut/y.csv")
	found, trouble, err := Find(filepath.Join(dir, "*.csv"))
	if err != nil || trouble != "" || len(found) != 2 {
		t.Fatal(found, trouble, err)
	}
	for _, f := range found {
		if want := strings.Contains(f.Path, "bad"); (f.Unfit != "") != want || want && !strings.HasSuffix(f.Unfit, `bad\xff.csv" is not UTF-8; rename it`) {
			t.Errorf("%+v", f)
		}
	}
	if _, _, err := Find(filepath.Join(dir, "good.csv", "*")); err == nil || !strings.HasSuffix(err.Error(), "good.csv is no folder on the master's host") {
		t.Error(err)
	}
	if os.Getuid() == 0 {
		return // root reads everything
	}
	if err := os.Chmod(filepath.Join(dir, "shut"), 0); err != nil {
		t.Fatal(err)
	}
	found, trouble, err = Find(filepath.Join(dir, "**", "*.csv"))
	if err != nil || len(found) != 3 || !strings.Contains(trouble, filepath.Join(dir, "shut")+" cannot be read on the master's host, the others are: permission denied") {
		t.Error(found, trouble, err)
	}
}

func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if found, _, err := Find(filepath.Join(dir, "*")); err != nil || len(found) != 10_000 {
			b.Fatal(len(found), err)
		}
	}
}
