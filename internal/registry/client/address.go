// Addresses of registries that are several servers.

package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"baton/internal/flow"
)

// Address is scheme://user:password@host:port,host:port/path?options.
type Address struct {
	User, Password string
	Hosts          []string // host:port
	Path           string   // "" or begins with a slash and does not end with one
	Options        url.Values
}

// example is how an address of a scheme looks; it is in every error about one.
func example(scheme, port string) string {
	return fmt.Sprintf("%s://one:%s,two:%s,three:%s/baton", scheme, port, port, port)
}

// ParseAddress reads the setting `registry`. net/url takes one host only. Errors do not show the
// address, which may hold a password.
func ParseAddress(raw, scheme, port string, options ...string) (Address, error) {
	bad := func(format string, args ...any) (Address, error) {
		return Address{}, flow.Errorf(flow.CodeBadRequest, "registry", "the registry's address is not valid: %s; it looks like %s", fmt.Sprintf(format, args...), example(scheme, port))
	}
	rest, ok := strings.CutPrefix(raw, scheme+"://")
	if !ok {
		return bad("it does not begin with %s://", scheme)
	}
	var a Address
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		hosts = authority[i+1:]
		user, password, _ := strings.Cut(authority[:i], ":")
		var err1, err2 error
		a.User, err1 = url.PathUnescape(user)
		a.Password, err2 = url.PathUnescape(password)
		if err1 != nil || err2 != nil || a.User == "" {
			return bad("user and password are not URL-encoded")
		}
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		name, number, err := net.SplitHostPort(host)
		if err != nil || name == "" || number == "" || strings.ContainsAny(name, " \t\n") {
			return bad("%q is no host:port", host)
		}
		if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
			return bad("%q is no port", number)
		}
		a.Hosts = append(a.Hosts, host)
	}
	if path = strings.Trim(path, "/"); path != "" {
		a.Path = "/" + path
	}
	if strings.Contains(a.Path, "//") {
		return bad("the path %s has an empty part", a.Path)
	}
	var err error
	if a.Options, err = url.ParseQuery(query); err != nil {
		return bad("what follows the question mark is not URL-encoded")
	}
	for name := range a.Options {
		if !slices.Contains(options, name) {
			return bad("it has no option %q; there are %s", name, strings.Join(options, ", "))
		}
	}
	return a, nil
}

// TLSOptions are the options that TLS reads.
var TLSOptions = []string{"tls", "ca", "cert", "key", "server-name"}

// TLS returns how to encrypt, nil if the options do not ask for it.
func (a Address) TLS() (*tls.Config, error) {
	get := a.Options.Get
	on := get("tls")
	if on != "" && on != "true" && on != "false" {
		return nil, flow.Errorf(flow.CodeBadRequest, "registry", "option tls of the registry's address is %q; write tls=true", on)
	}
	if on != "true" {
		if get("ca")+get("cert")+get("key")+get("server-name") != "" {
			return nil, flow.Errorf(flow.CodeBadRequest, "registry", "the registry's address names certificates but does not ask for TLS; add tls=true")
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: get("server-name")}
	if file := get("ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, flow.Errorf(flow.CodeBadRequest, "registry", "option ca of the registry's address: %v", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, flow.Errorf(flow.CodeBadRequest, "registry", "option ca of the registry's address: %s holds no certificate in PEM", file)
		}
	}
	if cert, key := get("cert"), get("key"); cert+key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, flow.Errorf(flow.CodeBadRequest, "registry", "options cert and key of the registry's address: %v", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Refused is an error that the registry will give again: credentials, permissions.
func Refused(remedy string, err error) error {
	return Permanent(errors.Join(flow.Errorf(flow.CodeUnavailable, "registry", "%s (%v)", remedy, err), err))
}
