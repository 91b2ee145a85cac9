// The nodes of a cluster: how they are named and reached, how an api process is enrolled.

package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"baton/internal/flow"
	"baton/internal/rpc"
)

// hostName is the name of this machine, for people and as an address.
func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

// shownName is the name of a node: what the settings say, else host and port.
func shownName(cfg Config, address net.Addr) string {
	if cfg.Name != "" {
		return cfg.Name
	}
	_, port, _ := net.SplitHostPort(address.String())
	return net.JoinHostPort(hostName(), port)
}

// newNode is this process as the others see it.
func newNode(cfg Config, role string, at net.Addr) flow.Node {
	return flow.Node{
		Role: role, Name: shownName(cfg, at), PID: os.Getpid(), Groups: []string{}, Labels: map[string]string{},
		State: flow.NodeReady, Version: programVersion(), Engine: flow.EngineVersion,
	}
}

// advertised is where others reach a listener: what the settings say, else its own address, with
// the name of this machine when it listens on all.
func advertised(cfg Config, address net.Addr) string {
	if cfg.Advertise != "" {
		return cfg.Advertise
	}
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = hostName()
	}
	return net.JoinHostPort(host, port)
}

// credentialsOf are those of connections between nodes; nil: no TLS. A node shows its certificate
// whether it dials or is dialled, and takes only what the same authority signed.
func credentialsOf(cfg Config) (client, server credentials.TransportCredentials, err error) {
	if cfg.TLSCert == "" && cfg.TLSKey == "" && cfg.TLSCA == "" {
		return nil, nil, nil
	}
	if cfg.TLSCert == "" || cfg.TLSKey == "" || cfg.TLSCA == "" {
		return nil, nil, flow.Errorf(flow.CodeBadRequest, "tls-cert", "mutual TLS needs all three of tls-cert, tls-key and tls-ca")
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return nil, nil, flow.Errorf(flow.CodeBadRequest, "tls-cert", "certificate %s with key %s: %v", cfg.TLSCert, cfg.TLSKey, err)
	}
	pem, err := os.ReadFile(cfg.TLSCA)
	if err != nil {
		return nil, nil, flow.Errorf(flow.CodeBadRequest, "tls-ca", "%v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, flow.Errorf(flow.CodeBadRequest, "tls-ca", "%s has no certificate in PEM form", cfg.TLSCA)
	}
	base := tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	return credentials.NewTLS(&base), credentials.NewTLS(base.Clone()), nil
}

// warnOfCertificate says that other nodes will refuse a master: its certificate is not for the host under
// which they dial it.
func warnOfCertificate(ctx context.Context, cfg Config, address string, log *slog.Logger) {
	if cfg.TLSCert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	host, _, bad := net.SplitHostPort(address)
	if err != nil || bad != nil || pair.Leaf == nil || pair.Leaf.VerifyHostname(host) == nil {
		return // what cannot be read was refused before
	}
	log.LogAttrs(ctx, slog.LevelWarn, "other nodes will refuse this master: its certificate is not for the host that it advertises; set `advertise` to a host that the certificate names, or give it another certificate",
		slog.String("advertise", address), slog.String("certificate_for", rpc.CertificateNames(pair.Leaf)), slog.String("file", cfg.TLSCert))
}

// roll is where nodes enrol.
type roll interface {
	Register(ctx context.Context, node flow.Node) (flow.Lease, error)
	Heartbeat(ctx context.Context, nodes []flow.Node) (flow.Renewal, error)
	Leave(ctx context.Context, incarnation int64) error
}

// enrolment keeps a node that drives nothing in the store: its number makes its ids unique.
type enrolment struct {
	roll  roll
	node  flow.Node
	log   *slog.Logger
	lease time.Duration
	ids   atomic.Pointer[flow.IDSource]
}

// enrol registers the node.
func enrol(ctx context.Context, r roll, node flow.Node, log *slog.Logger) (*enrolment, error) {
	e := &enrolment{roll: r, node: node, log: log}
	return e, e.register(ctx)
}

func (e *enrolment) register(ctx context.Context) error {
	l, err := patient(ctx, cmp.Or(e.lease, firstLease), func(ctx context.Context) (flow.Lease, error) { return e.roll.Register(ctx, e.node) })
	if err != nil {
		return err
	}
	e.node.Incarnation, e.node.Number, e.lease = l.Incarnation, l.Number, l.Length
	e.ids.Store(flow.NewIDSource(l.Number, l.MaxID))
	return nil
}

// firstLease is what answers are waited by before the length of leases is known.
const firstLease = 10 * time.Second

// nextID makes an id.
func (e *enrolment) nextID() flow.ID { return e.ids.Load().Next(flow.At(time.Now())) }

// stale is how long a node may be silent before its number may be another's.
const stale = 5 * time.Minute

// run renews the lease until ctx is done, then leaves. Without the store it goes on trying: a
// process that drives nothing has no reason to end.
func (e *enrolment) run(ctx context.Context) error {
	heard, away := time.Now(), false
	var told time.Time
	for {
		wait := e.lease / 3
		if away {
			wait = min(wait, retryAfter)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return e.leave(ctx)
		case <-t.C:
		}
		var renewal flow.Renewal
		var err error
		if time.Since(heard) < stale {
			if renewal, err = patient(ctx, cmp.Or(e.lease, firstLease), func(ctx context.Context) (flow.Renewal, error) {
				return e.roll.Heartbeat(ctx, []flow.Node{e.node})
			}); err == nil {
				e.lease = renewal.Settings.Lease
			}
		}
		if err == nil && (len(renewal.Fenced) > 0 || time.Since(heard) >= stale) {
			err = e.register(ctx)
		}
		switch {
		case err == nil:
			if away {
				e.log.LogAttrs(ctx, slog.LevelInfo, "the store answers again", slog.Duration("after", time.Since(heard).Round(time.Millisecond)))
			}
			heard, away = time.Now(), false
		case ctx.Err() == nil && (!away || time.Since(told) >= retryTold):
			told = time.Now()
			away = true
			e.log.LogAttrs(ctx, slog.LevelWarn, "the store did not answer; this node goes on trying", slog.Any("error", err))
		}
	}
}

func (e *enrolment) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := e.roll.Leave(ctx, e.node.Incarnation); err != nil {
		e.log.LogAttrs(ctx, slog.LevelWarn, "leave", slog.Any("error", err))
	}
	return nil
}
