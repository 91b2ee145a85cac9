// Where the server is and how to be let in: said, or found in the data folder of a standalone
// server.

package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Files of a standalone server that a command beside it reads.
const (
	tokenFile  = "token"  // an administrator's token, mode 0600
	serverFile = "server" // the URL it listens on
	lockFile   = "lock"   // held while it runs; names its process
)

// target is the server a command speaks to, and how that was found, for error messages.
type target struct {
	url   string
	token string
	from  string
	said  bool // by a setting: else it is where a server of this machine is
}

// target decides where to ask. The token of the data folder goes only to the server that wrote
// it, or where --data was said: it is an administrator's.
func (c *Config) target() target {
	recorded := firstLine(filepath.Join(c.Data, serverFile))
	t := target{url: c.Server, token: c.Token, from: c.serverFrom, said: c.Server != ""}
	switch {
	case t.url != "":
	case recorded != "":
		t.url, t.from = recorded, filepath.Join(c.Data, serverFile)
	default:
		t.url, t.from = "http://"+defaultListen, "the default"
	}
	own := t.url == recorded || c.given["data"] || c.Server == ""
	if t.token == "" && own {
		t.token = firstLine(filepath.Join(c.Data, tokenFile))
	}
	return t
}

func firstLine(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	return strings.TrimSpace(line)
}

// reachable is the URL under which a listener is reached from its own host.
func reachable(l net.Addr) string {
	host, port, err := net.SplitHostPort(l.String())
	if err != nil {
		return "http://" + l.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return fmt.Sprintf("http://%s", net.JoinHostPort(host, port))
}
