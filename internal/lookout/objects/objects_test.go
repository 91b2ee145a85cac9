package objects

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"baton/internal/flow"
)

const key, secret = "somebody", "hunter2-hunter2"

// gateway starts a server that speaks S3 over a folder, and returns its address.
func gateway(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../../../.cache/bin/versitygw-*")
	if err != nil || len(found) == 0 {
		t.Fatal("there is no object store to test with; run `make deps`")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(found[0], "--port", address, "--quiet", "posix", t.TempDir())
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+key, "ROOT_SECRET_ACCESS_KEY="+secret, "ROOT_ACCESS_KEY="+key, "ROOT_SECRET_KEY="+secret)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return address
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("the object store does not start: %v", err)
		}
	}
}

func put(t *testing.T, c *minio.Client, name, text string) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), "inbox", name, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func paths(files []flow.FoundFile) (out []string) {
	for _, f := range files {
		out = append(out, strings.TrimPrefix(f.Path, "s3://inbox/"))
	}
	slices.Sort(out)
	return out
}

func TestFind(t *testing.T) {
	address := gateway(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://" + address, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
		"AWS_ENDPOINT_URL_S3": "", "AWS_PROFILE": "", "AWS_SHARED_CREDENTIALS_FILE": "", "AWS_SESSION_TOKEN": "",
	} {
		t.Setenv(name, value)
	}
	c, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(key, secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	f := New(os.Getenv)
	if _, _, err := f.Find("s3://inbox/*"); err == nil || !strings.Contains(err.Error(), "there is no bucket inbox") {
		t.Error(err)
	}
	if err := c.MakeBucket(context.WithoutCancel(t.Context()), "inbox", minio.MakeBucketOptions{Region: "us-east-1"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, name := range []string{"a.csv", "b.json", "day=1/c.csv", "day=2/deep/d.csv", "other/wörld x.csv"} {
		put(t, c, name, name)
	}
	for pattern, want := range map[string][]string{
		"*.csv":            {"a.csv"},
		"*.{csv,json}":     {"a.csv", "b.json"},
		"**/*.csv":         {"a.csv", "day=1/c.csv", "day=2/deep/d.csv", "other/wörld x.csv"},
		"day=?/*.csv":      {"day=1/c.csv"},
		"day=2/deep/d.csv": {"day=2/deep/d.csv"},
		"other/*":          {"other/wörld x.csv"},
		"none/*":           nil,
	} {
		found, _, err := f.Find("s3://inbox/" + pattern)
		if err != nil || !slices.Equal(paths(found), want) {
			t.Errorf("%s: %v, %v; want %v", pattern, paths(found), err, want)
		}
	}
	found, _, err := f.Find("s3://inbox/a.csv")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if o := found[0]; o.Size != 5 || o.CameAt.Add(o.Coarse) < flow.At(began) || o.CameAt.Std().Sub(began) > time.Minute {
		t.Errorf("%+v came about %s", o, began)
	}

	put(t, c, "a.csv", "A.CSV")
	again, _, err := f.Find("s3://inbox/a.csv")
	if err != nil || len(again) != 1 || again[0].FileVersion == found[0].FileVersion {
		t.Errorf("written again it is the same: %v, %v", again, err)
	}

	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if _, _, err := New(os.Getenv).Find("s3://inbox/*"); err == nil || !strings.Contains(err.Error(), "the masters need AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "minio.example.com")
	if _, _, err := New(os.Getenv).Find("s3://inbox/*"); err == nil || !strings.Contains(err.Error(), `AWS_ENDPOINT_URL of the master is "minio.example.com", and no address`) {
		t.Error(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	if _, _, err := New(os.Getenv).Find("s3://inbox/*"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}
