// The compose file, parsed by compose's own library.

package deploy

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const password = "not-in-a-file"

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	dir, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}},
		Environment: types.Mapping{"POSTGRES_PASSWORD": password},
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func environment(s types.ServiceConfig) map[string]string {
	env := map[string]string{}
	for k, v := range s.Environment {
		if v != nil {
			env[k] = *v
		}
	}
	return env
}

func TestComposeNeedsThePassword(t *testing.T) {
	t.Parallel()
	_, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: compose}},
		Environment: types.Mapping{},
	})
	if err == nil || !strings.Contains(err.Error(), "say it in .env") {
		t.Errorf("without a password: %v", err)
	}
	if strings.Contains(read(t, compose), password) {
		t.Error("the password is in the file")
	}
}

func TestComposeRunsTheProgram(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for name, s := range loadCompose(t).Services {
		if name == "postgres" || name == "token" {
			continue
		}
		i := invocation{where: name, args: s.Command, env: environment(s)}
		// What the image brings.
		target := "server"
		if i.command() == "worker" {
			target = "worker"
		}
		if s.Build == nil || s.Build.Target != target || s.Build.Dockerfile != "deploy/docker/Dockerfile" {
			t.Errorf("%s is built from %+v", name, s.Build)
		}
		said := i.check(t)
		count[i.command()]++
		switch i.command() {
		case "worker":
			for variable := range i.env {
				if strings.Contains(variable, "PASSWORD") || variable == "BATON_STORE" {
					t.Errorf("%s: tasks run here, and it has %s", name, variable)
				}
			}
			if _, reaches := s.Networks["store"]; reaches {
				t.Errorf("%s: tasks run here, and it reaches the store", name)
			}
			drain, err := time.ParseDuration(said["drain-timeout"])
			if err != nil || s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < drain+30*time.Second {
				t.Errorf("%s waits for %v, the drain takes up to %v (%v)", name, s.StopGracePeriod, drain, err)
			}
			if len(s.Volumes) != 1 || s.Volumes[0].Source != name || s.Volumes[0].Target != "/var/lib/baton" {
				t.Errorf("%s keeps its folder in %+v", name, s.Volumes)
			}
		default:
			if i.env["PGPASSWORD"] != password || strings.Contains(said["store"], password) {
				t.Errorf("%s: the password is not where it belongs", name)
			}
		}
		if slices.Contains([]string{"master", "api"}, i.command()) {
			if s.HealthCheck == nil || !slices.Contains(s.HealthCheck.Test, "http://127.0.0.1:7079/readyz") {
				t.Errorf("%s: health %+v", name, s.HealthCheck)
			}
			if s.DependsOn["migrate"].Condition != types.ServiceConditionCompletedSuccessfully {
				t.Errorf("%s does not wait for the schema", name)
			}
		}
	}
	for command, n := range map[string]int{"master": 2, "api": 2, "worker": 2, "migrate up": 1} {
		if count[command] != n {
			t.Errorf("%d × %s, not %d", count[command], command, n)
		}
	}
}

func TestComposeWorkersKnowTheMasters(t *testing.T) {
	t.Parallel()
	services := loadCompose(t).Services
	for _, name := range []string{"worker-1", "worker-2"} {
		registry := invocation{where: name, args: services[name].Command}.settings(t)["registry"]
		for address := range strings.SplitSeq(strings.TrimPrefix(registry, "master://"), ",") {
			host, _, _ := strings.Cut(address, ":")
			master, ok := services[host]
			if !ok || master.Hostname != host || !strings.HasSuffix(address, ":7078") {
				t.Errorf("%s: %s is no master: others reach it by its hostname", name, address)
			}
			if _, shared := master.Networks["nodes"]; !shared {
				t.Errorf("%s does not reach %s", name, host)
			}
		}
	}
}

func TestComposeKeepsWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	postgres := loadCompose(t).Services["postgres"]
	for _, s := range []string{"fsync=on", "synchronous_commit=on", "full_page_writes=on"} {
		if !slices.Contains(postgres.Command, s) {
			t.Errorf("PostgreSQL is started with %v, without %s", postgres.Command, s)
		}
	}
	if len(postgres.Volumes) != 1 || postgres.Volumes[0].Type != types.VolumeTypeVolume || postgres.Volumes[0].Target != "/var/lib/postgresql/data" {
		t.Errorf("PostgreSQL's volumes: %+v", postgres.Volumes)
	}
	if pinned := strings.Contains(postgres.Image, ".") && !strings.HasSuffix(postgres.Image, "latest"); !pinned {
		t.Errorf("%s is not pinned", postgres.Image)
	}
}

func TestComposeMakesOneToken(t *testing.T) {
	t.Parallel()
	token := loadCompose(t).Services["token"]
	script := strings.Join(token.Command, "\n")
	for line := range strings.Lines(script) {
		if args, found := strings.CutPrefix(strings.TrimSpace(line), "baton "); found {
			args, _, _ = strings.Cut(args, " >")
			invocation{where: "token", args: strings.Fields(args), env: environment(token)}.check(t)
		}
	}
	if !strings.Contains(script, "baton admin token create") {
		t.Errorf("it runs %s", script)
	}
	runTokenScript(t, script)
}
