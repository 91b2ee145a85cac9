package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"baton/internal/rpc"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

// creds are credentials of a node that trusts an authority, and has a certificate for hosts.
func (a authority) creds(t *testing.T, trusts authority, until time.Time, hosts ...string) credentials.TransportCredentials {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: until}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(trusts.cert)
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	})
}

type silent struct {
	rpc.UnimplementedMastersServer
	rpc.UnimplementedPeersServer
}

func (silent) Probe(context.Context, *rpc.ProbeRequest) (*rpc.Identity, error) {
	return &rpc.Identity{Name: "m1"}, nil
}

// Whoever dials a master and does not agree with it about TLS is told what the matter is and what to set
// where, and does not take the master for dead.
func TestTLSFaults(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	node := ours.creds(t, ours, later, "127.0.0.1")
	for _, c := range []struct {
		name           string
		dialer, master credentials.TransportCredentials
		says           []string // nothing: it is let in
	}{
		{"both", node, node, nil},
		{"neither", nil, nil, nil},
		{"the master alone", nil, node, []string{"the master at 127.0.0.1:", "takes TLS only, and this node has none", "set tls-cert, tls-key and tls-ca here too"}},
		{"the dialer alone", node, nil, []string{"the master at 127.0.0.1:", "has no TLS, and this node has", "at the masters too"}},
		{
			"another host", node, ours.creds(t, ours, later, "m1.example", "10.0.0.1"),
			[]string{"is for m1.example, 10.0.0.1, and not for 127.0.0.1", "`advertise`", "a certificate for 127.0.0.1"},
		},
		{"no host", node, ours.creds(t, ours, later), []string{"is for no host, and not for 127.0.0.1"}},
		{"authority of the master", node, others.creds(t, ours, later, "127.0.0.1"), []string{"none of the authorities in tls-ca of this node"}},
		{"authority of the dialer", others.creds(t, ours, later), node, []string{"refuses the certificate of this node (tls: ", "in tls-ca of the masters"}},
		{"expired", node, ours.creds(t, ours, time.Now().Add(-time.Minute), "127.0.0.1"), []string{"is not valid (x509: certificate has expired", "in tls-cert"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go rpc.Serve(t.Context(), l, silent{}, silent{}, c.master)
			conn, err := rpc.Dial(l.Addr().String(), c.dialer)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = rpc.NewPeersClient(conn).Probe(t.Context(), &rpc.ProbeRequest{})
			if len(c.says) == 0 {
				if err != nil || rpc.TLSFault(err) != "" {
					t.Error(err)
				}
				return
			}
			text := rpc.TLSFault(err)
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q: %q, %v", want, text, err)
				}
			}
			if rpc.NobodyListens(err) {
				t.Errorf("the master is taken for dead: %v", err)
			}
			if strings.ContainsAny(text, `"\`) || strings.Contains(text, "rpc error") || rpc.Plain(err).Error() != text {
				t.Errorf("people read %q", text)
			}
		})
	}
}
