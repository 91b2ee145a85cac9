// Connections, shared by all attempts of a worker.

package http

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	nethttp "net/http"
	"os"
	"sync"
	"time"

	"baton/internal/task"
)

// maxTransports bounds how many trust settings keep connections open.
const maxTransports = 16

// transports has one transport for each way to trust: nearly always just one.
type transports struct {
	mu   sync.Mutex
	byID map[trust]*nethttp.Transport
}

// trust is a way to check certificates. The file is known by its content, so that a renewed one
// counts at once.
type trust struct {
	insecure bool
	ca       [sha256.Size]byte
}

func newTransports() *transports {
	return &transports{byID: map[trust]*nethttp.Transport{}}
}

func (t *transports) get(insecure bool, caFile string) (*nethttp.Transport, error) {
	id := trust{insecure: insecure}
	var roots *x509.CertPool
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, &task.Failure{Cause: causeTLS, Message: "ca_file", Err: err}
		}
		if roots, err = x509.SystemCertPool(); err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, &task.Failure{Cause: causeTLS, Message: fmt.Sprintf("ca_file: %s holds no certificate in PEM form", caFile)}
		}
		id.ca = sha256.Sum256(pem)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if transport, ok := t.byID[id]; ok {
		return transport, nil
	}
	if len(t.byID) >= maxTransports {
		t.forget()
	}
	transport := newTransport(&tls.Config{RootCAs: roots, InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12}) //nolint:gosec // insecure is an explicit option
	t.byID[id] = transport
	return transport, nil
}

func (t *transports) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
}

// forget drops all; requests under way end on theirs.
func (t *transports) forget() {
	for id, transport := range t.byID {
		transport.CloseIdleConnections()
		delete(t.byID, id)
	}
}

func newTransport(config *tls.Config) *nethttp.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &nethttp.Transport{
		Proxy:                  nethttp.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}
