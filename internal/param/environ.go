// The environment variables in which a script finds its parameters.

package param

import (
	"slices"
	"strings"
)

// EnvPrefix leads the variable that every parameter has.
const EnvPrefix = "BATON_PARAM_"

// Environ returns the variables of every parameter in scope: day is in
// BATON_PARAM_day, and in day too where that is safe. Built-in parameters have
// the prefixed one only. Characters that no variable may have become _; when
// two names end up the same, one that needed no change wins, then the first by name.
//
// A parameter that cannot be resolved is an error, as is a value with a zero byte.
func (s *Scope) Environ() (map[string]string, error) {
	own := s.own()
	slices.Sort(own)
	own = slices.Compact(own)
	env := make(map[string]string, 2*len(own)+12)
	for _, name := range own {
		v, _, err := s.Lookup(name)
		if err != nil {
			return nil, in(name, err)
		}
		if strings.IndexByte(v, 0) >= 0 {
			return nil, in(name, errorAt(CodeBadValue, 0, "holds a zero byte and cannot be put into the environment"))
		}
		s.export(env, name, v)
	}
	for _, name := range s.Builtin.names() {
		if v, ok := s.Builtin.Lookup(name); ok {
			s.export(env, name, v)
		}
	}
	return env, nil
}

func (s *Scope) export(env map[string]string, name, value string) {
	mapped := envName(name)
	if IsEnvName(name) {
		env[name] = value
	}
	key := EnvPrefix + mapped
	if _, taken := env[key]; !taken || mapped == name {
		env[key] = value
	}
}

// IsEnvName reports whether a parameter of this name may be a variable of its
// own: an identifier of the shell that neither the shell nor the loader nor an
// interpreter takes orders from. Case counts: PATH is not safe, path is.
func IsEnvName(name string) bool {
	if name == "" || name == "_" || name[0] >= '0' && name[0] <= '9' || envName(name) != name {
		return false
	}
	for _, p := range reservedEnvPrefixes {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return !reservedEnv[name] && !strings.HasSuffix(strings.ToLower(name), "_proxy")
}

// envName maps every character but ASCII letters, digits and _ to _.
func envName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, name)
}

var reservedEnvPrefixes = []string{
	"LD_", "DYLD_", "BASH", "LC_", "PYTHON", "PERL5", "RUBY", "NODE_", "JAVA_", "JDK_", "_JAVA_", "GIT_", "SSH_",
	"DOCKER_", "KUBERNETES_", "MALLOC_", "GLIBC_", "BATON_", "XDG_",
}

var reservedEnv = map[string]bool{
	"PATH": true, "IFS": true, "HOME": true, "SHELL": true, "ENV": true, "SHELLOPTS": true, "CDPATH": true,
	"PS1": true, "PS2": true, "PS4": true, "PROMPT_COMMAND": true, "OPTIND": true, "OPTARG": true, "OPTERR": true,
	"USER": true, "LOGNAME": true, "PWD": true, "OLDPWD": true, "UID": true, "EUID": true, "GID": true, "PPID": true,
	"HOSTNAME": true, "LANG": true, "LANGUAGE": true, "TZ": true, "TZDIR": true, "TERM": true, "TMPDIR": true,
	"MAIL": true, "EDITOR": true, "PAGER": true, "HISTFILE": true, "FPATH": true, "ZDOTDIR": true, "POSIXLY_CORRECT": true,
	"PERLLIB": true, "CLASSPATH": true, "GCONV_PATH": true, "LOCPATH": true, "NLSPATH": true, "HOSTALIASES": true,
	"RES_OPTIONS": true, "LOCALDOMAIN": true, "RESOLV_HOST_CONF": true, "GOTRACEBACK": true, "GODEBUG": true,
	"KUBECONFIG": true, "TRACEPARENT": true, "TRACESTATE": true,
	"SECONDS": true, "RANDOM": true, "LINENO": true, "FUNCNAME": true, "PIPESTATUS": true, "GROUPS": true, "REPLY": true,
}
