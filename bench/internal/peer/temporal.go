// Temporal: its server from its Go module, with the settings that it ships for development, on
// PostgreSQL or SQLite.

package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"baton/bench/internal/postgres"
	"baton/bench/internal/proc"
)

// Temporal is built and can be started.
type Temporal struct{ server, tool, driver, module string }

// BuildTemporal builds server, schema tool and driver; minutes, the first time.
func BuildTemporal(ctx context.Context, cache, bench string) (*Temporal, error) {
	t := &Temporal{}
	var err error
	if t.server, err = install(ctx, cache, temporalModule+"/cmd/server", TemporalServer, "temporal-server"); err != nil {
		return nil, err
	}
	if t.tool, err = install(ctx, cache, temporalModule+"/cmd/tools/sql", TemporalServer, "temporal-sql"); err != nil {
		return nil, err
	}
	if t.driver, err = build(ctx, cache, bench, "temporal"); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", temporalModule+"@"+TemporalServer)
	cmd.Dir = cache
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("find Temporal's settings: %w: %s", err, tail(out))
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("find Temporal's settings: %w", err)
	}
	t.module = m.Dir
	return t, nil
}

// TemporalServer is a running one.
type RunningTemporal struct {
	*Driver
	PID    int           // of the server
	Answer time.Duration // from its start until its port was open
	server *proc.Proc
}

// Start starts a server in dir and its driver; pg nil is SQLite.
func (t *Temporal) Start(ctx context.Context, dir string, pg *postgres.Cluster) (*RunningTemporal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder of Temporal: %w", err)
	}
	kind := "sqlite-file"
	var weigh []int
	if pg != nil {
		kind, weigh = "postgres12", []int{pg.PID()}
		if err := t.schema(ctx, pg); err != nil {
			return nil, err
		}
	}
	port, err := t.configure(dir, kind, pg)
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	r := &RunningTemporal{}
	began := time.Now()
	r.server, err = proc.Start(proc.Spec{Name: "temporal-server", Dir: dir, Path: t.server, Args: []string{"--config-file", filepath.Join(dir, "server.yaml"), "--allow-no-auth", "start"}})
	if err != nil {
		return nil, err
	}
	r.PID = r.server.PID
	err = r.server.Until(ctx, time.Minute, time.Millisecond, func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	})
	r.Answer = time.Since(began)
	if err == nil {
		r.Driver, err = drive(ctx, "temporal-driver", t.driver, dir, append(weigh, r.PID), addr)
	}
	if err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// Stop ends driver and server.
func (r *RunningTemporal) Stop() {
	if r == nil {
		return
	}
	r.Driver.Stop()
	r.server.Stop(syscall.SIGTERM, 10*time.Second)
}

func (t *Temporal) schema(ctx context.Context, pg *postgres.Cluster) error {
	for db, schema := range map[string]string{"temporal": "temporal", "temporal_visibility": "visibility"} {
		if err := pg.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+db+" WITH (FORCE)"); err != nil {
			return err
		}
		for _, args := range [][]string{
			{"create-database"},
			{"setup-schema", "-v", "0.0"},
			{"update-schema", "--schema-dir", filepath.Join(t.module, "schema/postgresql/v12", schema, "versioned")},
		} {
			cmd := exec.CommandContext(ctx, t.tool, append([]string{"--plugin", "postgres12", "--endpoint", "127.0.0.1", "--port", strconv.Itoa(pg.Port), "--user", "postgres", "--db", db}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("schema of Temporal: %v: %w: %s", args, err, tail(out))
			}
		}
	}
	return nil
}

var (
	portLine = regexp.MustCompile(`(?m)((?:grpcPort|membershipPort|httpPort|port): )(\d+)`)
	addrLine = regexp.MustCompile(`((?:localhost|127\.0\.0\.1):)(7233|7243|8000)\b`)
)

// configure writes the settings that the module ships, with other ports and folders, and returns
// the port of the frontend.
func (t *Temporal) configure(dir, kind string, pg *postgres.Cluster) (int, error) {
	raw, err := os.ReadFile(filepath.Join(t.module, "config", "development-"+kind+".yaml"))
	if err != nil {
		return 0, fmt.Errorf("settings of Temporal: %w", err)
	}
	offset, err := freeOffset(string(raw))
	if err != nil {
		return 0, err
	}
	moved := func(re *regexp.Regexp, text string) string {
		return re.ReplaceAllStringFunc(text, func(s string) string {
			m := re.FindStringSubmatch(s)
			n, _ := strconv.Atoi(m[2])
			return m[1] + strconv.Itoa(n+offset)
		})
	}
	text := moved(addrLine, moved(portLine, string(raw)))
	text = strings.NewReplacer(
		"level: info", "level: error",
		`databaseName: "default"`, fmt.Sprintf("databaseName: %q", filepath.Join(dir, "temporal.db")),
		`"config/dynamicconfig/`, `"`+filepath.Join(t.module, "config", "dynamicconfig")+"/",
		`user: "temporal"`, `user: "postgres"`,
		`password: "temporal"`, `password: ""`,
	).Replace(text)
	if pg != nil {
		text = strings.ReplaceAll(text, "127.0.0.1:5432", "127.0.0.1:"+strconv.Itoa(pg.Port))
	}
	if err := os.WriteFile(filepath.Join(dir, "server.yaml"), []byte(text), 0o644); err != nil {
		return 0, fmt.Errorf("settings of Temporal: %w", err)
	}
	return 7233 + offset, nil
}

// freeOffset finds a distance at which all ports are free.
func freeOffset(text string) (int, error) {
	ports := []string{"8000"}
	for _, m := range portLine.FindAllStringSubmatch(text, -1) {
		ports = append(ports, m[2])
	}
search:
	for offset := 10000; offset < 50000; offset += 1000 {
		for _, p := range ports {
			n, _ := strconv.Atoi(p)
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(n+offset))
			if err != nil {
				continue search
			}
			_ = l.Close()
		}
		return offset, nil
	}
	return 0, fmt.Errorf("no free ports for Temporal")
}
