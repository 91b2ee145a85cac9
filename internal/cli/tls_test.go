package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"baton/internal/api"
	"baton/internal/flow"
	"baton/internal/rpc"
)

// certified are settings with a certificate for hosts, which is its own authority.
func certified(t *testing.T, hosts ...string) Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, raw []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := Config{TLSCert: file("cert.pem", "CERTIFICATE", cert), TLSKey: file("key.pem", "PRIVATE KEY", private)}
	cfg.TLSCA = cfg.TLSCert
	return cfg
}

type onlyProbed struct {
	rpc.UnimplementedMastersServer
	rpc.UnimplementedPeersServer
}

func (onlyProbed) Probe(context.Context, *rpc.ProbeRequest) (*rpc.Identity, error) {
	return &rpc.Identity{Name: "m1", Incarnation: 7, StoreOk: true}, nil
}

// Masters that the doctor cannot ask because of TLS are not said to be out of reach.
func TestDoctorAndTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		master, doctor Config
		want           checked
	}{
		{"both", certified(t, "127.0.0.1"), Config{}, checked{"masters", checkOK, "m1 answers at ADDRESS", ""}}, // the doctor gets the master's
		{"the master alone", certified(t, "127.0.0.1"), Config{}, checked{
			"masters", checkWarn, "cannot be examined, for they take TLS only and this command was given none: m1 at ADDRESS",
			"give --tls-cert, --tls-key and --tls-ca, as a node of the cluster has them",
		}},
		{"the doctor alone", Config{}, certified(t), checked{
			"masters", checkError, "m1: the master at ADDRESS has no TLS, and this node has", "set tls-cert, tls-key and tls-ca at the masters too, or at no node",
		}},
		{"another host", certified(t, "m1.example"), Config{}, checked{
			"masters", checkError, "m1: the certificate of the master at ADDRESS is for m1.example, and not for 127.0.0.1",
			"have that master `advertise` a host that the certificate names (and workers dial it by that in `registry`), or give it a certificate for 127.0.0.1",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, server, err := credentialsOf(c.master)
			if err != nil {
				t.Fatal(err)
			}
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go rpc.Serve(t.Context(), l, onlyProbed{}, onlyProbed{}, server)
			address := l.Addr().String()
			if c.name != "the master alone" && c.doctor.TLSCert == "" {
				c.doctor = c.master
			}
			d := &doctor{config: c.doctor, skews: map[string]time.Duration{}, nodes: []api.Node{{ID: "7", Name: "m1", Role: flow.RoleMaster, State: flow.NodeReady, Address: address}}}
			d.masters(t.Context())
			if len(d.found) != 1 {
				t.Fatalf("%+v", d.found)
			}
			got := d.found[0]
			got.Found = strings.ReplaceAll(got.Found, address, "ADDRESS")
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// A master says at its start that nobody will take its certificate where it says that it is.
func TestCertificateForAnotherHost(t *testing.T) {
	t.Parallel()
	cfg := certified(t, "m1.example", "10.0.0.1")
	for address, warns := range map[string]bool{"m1.example:7078": false, "10.0.0.1:7078": false, "m2.example:7078": true, "[::1]:7078": true} {
		var said bytes.Buffer
		warnOfCertificate(t.Context(), cfg, address, slog.New(slog.NewTextHandler(&said, nil)))
		if got := said.String(); (got != "") != warns {
			t.Errorf("%s: %q", address, got)
		} else if warns && (!strings.Contains(got, address) || !strings.Contains(got, "m1.example, 10.0.0.1") || !strings.Contains(got, "`advertise`")) {
			t.Errorf("%s: %q", address, got)
		}
	}
	warnOfCertificate(t.Context(), Config{}, "m2.example:7078", nil) // no TLS, no word
}
