// All settings of all commands: one struct, defaults in one place, checked once. Nothing else
// reads the environment or a file of settings.

package cli

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// Config holds every setting. The name of a flag is the file's key; BATON_ and the same name in
// capitals is the environment's. Flag > environment > file > default.
type Config struct {
	// Of commands that ask a server.
	Server  string `koanf:"server"`
	Token   string `koanf:"token"`
	Project string `koanf:"project"`
	Output  string `koanf:"output"`
	// Of every role.
	Data      string `koanf:"data"`
	LogLevel  string `koanf:"log-level"`
	LogFormat string `koanf:"log-format"`
	Name      string `koanf:"name"`
	Lease     string `koanf:"lease"`
	// Of the store, the api and the masters.
	Store       string `koanf:"store"`
	StoreDirect string `koanf:"store-direct"`
	Listen      string `koanf:"listen"`
	AdminListen string `koanf:"admin-listen"`
	Registry    string `koanf:"registry"`
	// Of masters.
	RPCListen string `koanf:"rpc-listen"`
	Advertise string `koanf:"advertise"`
	// Of connections between nodes: mutual TLS when all three are set.
	TLSCert string `koanf:"tls-cert"`
	TLSKey  string `koanf:"tls-key"`
	TLSCA   string `koanf:"tls-ca"`
	// Of workers.
	Groups string `koanf:"groups"`
	Slots  int    `koanf:"slots"`
	// FunctionSlots are places of tasks that run inside the worker.
	FunctionSlots int    `koanf:"function-slots"`
	Weight        int    `koanf:"weight"`
	Labels        string `koanf:"labels"`
	// Of workers; masters heed the one of memory, too.
	OverloadCPU    float64 `koanf:"overload-cpu"`
	OverloadMemory float64 `koanf:"overload-memory"`
	OverloadDisk   string  `koanf:"overload-disk"`
	// DrainTimeout is how long what runs may go on after the server was asked to end.
	DrainTimeout string `koanf:"drain-timeout"`
	LogLimit     string `koanf:"log-limit"`

	given      map[string]bool // settings that were said, not defaulted
	serverFrom string          // where Server was said, for messages
}

// defaults are the values of settings that nobody says.
func defaults() map[string]any {
	return map[string]any{
		"server": "", "token": "", "project": flow.DefaultProject, "output": formatTable,
		"data": "./baton-data", "log-level": "info", "log-format": "auto", "name": "", "lease": "10s",
		"store": "", "store-direct": "", "listen": defaultListen, "admin-listen": "127.0.0.1:0",
		"registry": "", "rpc-listen": defaultRPCListen, "advertise": "", "tls-cert": "", "tls-key": "", "tls-ca": "",
		"groups": flow.DefaultGroup, "slots": 0, "function-slots": 256, "weight": flow.DefaultWeight,
		"overload-cpu": 1.0, "overload-memory": 0.95, "overload-disk": "256MiB", "labels": "", "drain-timeout": "20s", "log-limit": "1GiB",
	}
}

const (
	defaultListen    = "127.0.0.1:7077"
	defaultRPCListen = "127.0.0.1:7078"
)

const (
	envPrefix = "BATON_"
	envConfig = envPrefix + "CONFIG"
)

// loadConfig reads the settings in order of their weight and checks them.
func loadConfig(flags *pflag.FlagSet, environ []string) (Config, error) {
	env := environment(environ)
	k := koanf.New("\x00") // no nesting: keys are names of flags
	given := map[string]bool{}
	file, err := fileSettings(flags, env)
	if err != nil {
		return Config{}, err
	}
	for _, source := range []map[string]any{defaults(), file.values, envSettings(env), flagSettings(flags)} {
		if err := k.Load(values(source), nil); err != nil {
			return Config{}, fmt.Errorf("load settings: %w", err)
		}
	}
	for _, source := range []map[string]any{file.values, envSettings(env), flagSettings(flags)} {
		for _, name := range slices.Sorted(maps.Keys(source)) {
			given[name] = true
			if err := isNumber(name, source[name]); err != nil {
				return Config{}, blame(err, flags, env, file)
			}
		}
	}
	c := Config{given: given, serverFrom: origin("server", flags, env, file)}
	if err := k.Unmarshal("", &c); err != nil {
		return c, usagef("settings: %w", err)
	}
	return c, blame(c.check(), flags, env, file)
}

// settingError is what is wrong with the value of a setting.
type settingError struct {
	name string
	err  error
}

func (e *settingError) Error() string { return e.err.Error() }
func (e *settingError) Unwrap() error { return e.err }

// settingf makes one; the text names the setting too.
func settingf(name, format string, args ...any) error {
	return &settingError{name, fmt.Errorf(format, args...)}
}

// origin is where a setting was said: a flag, a variable, a file; "" if it was not.
func origin(name string, flags *pflag.FlagSet, env map[string]string, file settingsFile) string {
	if _, said := flagSettings(flags)[name]; said {
		return "--" + name
	}
	if _, said := envSettings(env)[name]; said {
		return envName(name)
	}
	if _, said := file.places[name]; said {
		return file.path
	}
	return ""
}

// blame says where the value came from that an error is about.
func blame(err error, flags *pflag.FlagSet, env map[string]string, file settingsFile) error {
	bad, ok := errors.AsType[*settingError](err)
	if !ok {
		return err
	}
	if _, said := flagSettings(flags)[bad.name]; said {
		return usageError{err}
	}
	if _, said := envSettings(env)[bad.name]; said {
		return usagef("%s: %w", envName(bad.name), err)
	}
	if at, said := file.places[bad.name]; said {
		return &flow.Error{Code: flow.CodeBadRequest, Field: bad.name, File: file.path, Line: at.line, Column: at.column, Message: err.Error()}
	}
	return usageError{err} // a default, or one that is missing
}

// isNumber refuses what is none where the setting is one.
func isNumber(name string, value any) (err error) {
	text := fmt.Sprint(value)
	switch defaults()[name].(type) {
	case int:
		if _, err = strconv.Atoi(text); err != nil {
			return settingf(name, "%s: %q is no whole number", name, text)
		}
	case float64:
		if _, err = strconv.ParseFloat(text, 64); err != nil {
			return settingf(name, "%s: %q is no number", name, text)
		}
	}
	return nil
}

// values is a koanf source of ready values.
type values map[string]any

func (v values) Read() (map[string]any, error) { return v, nil }
func (v values) ReadBytes() ([]byte, error)    { return nil, fmt.Errorf("values are not bytes") }

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	return env
}

// envName is the variable of a setting.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// envSettings takes what names a setting. Other BATON_ variables are none of ours: a task that
// calls baton has BATON_INSTANCE_ID and the like.
func envSettings(env map[string]string) map[string]any {
	out := map[string]any{}
	for key := range defaults() {
		if value, set := env[envName(key)]; set && value != "" {
			out[key] = value
		}
	}
	return out
}

func flagSettings(flags *pflag.FlagSet) map[string]any {
	out := map[string]any{}
	known := defaults()
	flags.Visit(func(f *pflag.Flag) {
		if _, setting := known[f.Name]; setting {
			out[f.Name] = f.Value.String()
		}
	})
	return out
}

// settingsFile is what a file of settings says, and where.
type settingsFile struct {
	path   string
	values map[string]any
	places map[string]place
}

type place struct{ line, column int }

// fileSettings reads the file that --config or BATON_CONFIG names, else the user's own if there
// is one.
func fileSettings(flags *pflag.FlagSet, env map[string]string) (settingsFile, error) {
	path, _ := flags.GetString("config")
	if path == "" {
		path = env[envConfig]
	}
	named := path != ""
	if !named {
		path = userConfig(env)
	}
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) && !named {
		return settingsFile{}, nil
	}
	if err != nil {
		return settingsFile{}, usagef("read settings: %w", err)
	}
	out := settingsFile{path: path, places: map[string]place{}}
	var doc yaml.Node
	if err = yaml.Unmarshal(raw, &doc); err == nil {
		err = doc.Decode(&out.values)
	}
	if err != nil {
		return out, usagef("settings in %s: %w", path, err)
	}
	for key, value := range out.values {
		out.values[key] = flat(value)
	}
	known := defaults()
	for key := range keysOf(doc) {
		at := place{key.Line, key.Column}
		out.places[key.Value] = at
		if _, ok := known[key.Value]; ok {
			continue
		}
		e := &flow.Error{
			Code: flow.CodeBadRequest, Field: key.Value, File: path, Line: at.line, Column: at.column,
			Message: fmt.Sprintf("unknown setting %q", key.Value),
		}
		if e.Suggestion = flow.Nearest(key.Value, settingNames()); e.Suggestion != "" {
			e.Message += fmt.Sprintf("; did you mean %q?", e.Suggestion)
		} else {
			e.Message += "; there are " + strings.Join(settingNames(), ", ")
		}
		return out, e
	}
	return out, nil
}

// flat writes a list or a mapping, as YAML has them, as flags and variables do: a,b or k=v,l=w.
func flat(value any) any {
	var parts []string
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			parts = append(parts, fmt.Sprint(v))
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, fmt.Sprintf("%s=%v", k, value[k]))
		}
	default:
		return value
	}
	return strings.Join(parts, ",")
}

// keysOf are the keys of a document that is a mapping, in their order.
func keysOf(doc yaml.Node) iter.Seq[*yaml.Node] {
	return func(yield func(*yaml.Node) bool) {
		if len(doc.Content) == 0 {
			return // an empty file
		}
		for i, n := range doc.Content[0].Content {
			if i%2 == 0 && !yield(n) {
				return
			}
		}
	}
}

func settingNames() []string {
	var names []string
	for key := range defaults() {
		names = append(names, key)
	}
	slices.Sort(names)
	return names
}

func userConfig(env map[string]string) string {
	if dir := env["XDG_CONFIG_HOME"]; dir != "" {
		return filepath.Join(dir, "baton", "config.yaml")
	}
	return filepath.Join(env["HOME"], ".config", "baton", "config.yaml")
}

// check refuses what no command could use.
func (c *Config) check() error {
	if !slices.Contains(formats, c.Output) {
		return settingf("output", "output %q: there are %s", c.Output, strings.Join(formats, ", "))
	}
	if err := new(slog.LevelVar).UnmarshalText([]byte(c.LogLevel)); err != nil {
		return settingf("log-level", "log-level %q: there are debug, info, warn and error", c.LogLevel)
	}
	if !slices.Contains([]string{"auto", "text", "json"}, c.LogFormat) {
		return settingf("log-format", "log-format %q: there are auto, text and json", c.LogFormat)
	}
	if _, err := flow.ParseLease(c.Lease); err != nil {
		return settingf("lease", "lease: %w", err)
	}
	if _, err := flow.ParseDuration(c.DrainTimeout); err != nil {
		return settingf("drain-timeout", "drain-timeout: %w", err)
	}
	if _, err := parseSize(c.LogLimit); err != nil {
		return settingf("log-limit", "log-limit: %w", err)
	}
	if c.Slots < 0 {
		return settingf("slots", "slots: %d is less than none", c.Slots)
	}
	if err := c.checkLoad(); err != nil {
		return err
	}
	for name, address := range map[string]string{"listen": c.Listen, "admin-listen": c.AdminListen, "rpc-listen": c.RPCListen, "advertise": c.Advertise} {
		if address == "" && name == "advertise" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return settingf(name, "%s %q: write host:port, such as %s", name, address, defaultListen)
		}
	}
	for _, group := range split(c.Groups) {
		if err := flow.CheckName(group); err != nil { // no workflow could name it
			return settingf("groups", "groups: %w", err)
		}
	}
	if _, err := c.labels(); err != nil {
		return err
	}
	if c.Server == "" {
		return nil
	}
	var err error
	c.Server, err = serverURL(c.Server)
	return err
}

// checkLoad checks how much a worker takes, and when it takes nothing.
func (c *Config) checkLoad() error {
	switch {
	case c.FunctionSlots < 1:
		return settingf("function-slots", "function-slots: %d is less than one", c.FunctionSlots)
	case c.Weight < 1 || c.Weight > flow.MaxWeight:
		return settingf("weight", "weight: %d is out of range; between 1 and %d, usually %d", c.Weight, flow.MaxWeight, flow.DefaultWeight)
	}
	for name, share := range map[string]float64{"overload-cpu": c.OverloadCPU, "overload-memory": c.OverloadMemory} {
		if share <= 0 || share > 1 || math.IsNaN(share) {
			return settingf(name, "%s: %v is no share; write one such as 0.9, or 1 for no limit", name, share)
		}
	}
	_, err := c.overloadDisk()
	return err
}

// overloadDisk is how many bytes are to stay free; negative: none.
func (c *Config) overloadDisk() (int64, error) {
	if c.OverloadDisk == "0" {
		return -1, nil
	}
	n, err := parseSize(c.OverloadDisk)
	if err != nil {
		return 0, settingf("overload-disk", "overload-disk: %w, or 0 for no limit", err)
	}
	return n, nil
}

// serverURL accepts a URL or host:port.
func serverURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", settingf("server", "server %q: write a URL or host:port, such as %s", s, defaultListen)
	}
	return strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), nil
}

func (c *Config) labels() (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range split(c.Labels) {
		k, v, found := strings.Cut(pair, "=")
		if !found || k == "" {
			return nil, settingf("labels", "labels: %q is no k=v", pair)
		}
		out[k] = v
	}
	return out, nil
}

// split cuts a list at its commas, without empty parts.
func split(list string) []string {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
