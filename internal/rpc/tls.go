// TLS between nodes: what is said when two of them do not agree about it. gRPC keeps of an error its
// text only, so the text is made where the cause is still known.

package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// First bytes of what TLS says.
const (
	recordAlert     = 21
	recordHandshake = 22
)

// tlsSays is before every text that TLSFault finds. These have no quotation marks: gRPC quotes them.
const tlsSays = "TLS: "

func tlsFault(format string, args ...any) error { return fmt.Errorf(tlsSays+format, args...) }

// TLSFault tells from the error of a call what the two sides do not agree about in TLS, and the remedy;
// "" if it is about something else.
func TLSFault(err error) string {
	st, ok := status.FromError(err)
	if !ok {
		return ""
	}
	_, text, found := strings.Cut(st.Message(), tlsSays)
	if !found {
		return ""
	}
	return strings.TrimRight(text, `"\`)
}

// Plain is the error of a call as people should read it: what TLSFault finds without what gRPC wraps
// around it, else the error itself.
func Plain(err error) error {
	if text := TLSFault(err); text != "" {
		return errors.New(text)
	}
	return err
}

// CertificateNames are the hosts that a certificate is for.
func CertificateNames(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(slices.Clip(names), ip.String())
	}
	if len(names) == 0 {
		return "no host"
	}
	return strings.Join(names, ", ")
}

// noTLS are the credentials of a side that dials without TLS: it notices when the other one has it.
type noTLS struct {
	credentials.TransportCredentials
}

func (c noTLS) Clone() credentials.TransportCredentials {
	return noTLS{c.TransportCredentials.Clone()}
}

func (c noTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return &listening{Conn: conn, fault: func(word []byte, _ error) error {
		if len(word) == 0 || word[0] != recordAlert {
			return nil
		}
		return tlsFault("the master at %s takes TLS only, and this node has none: set tls-cert, tls-key and tls-ca here too, or at no node", authority)
	}}, info, nil
}

// dialTLS are the credentials of a side that dials with TLS.
type dialTLS struct {
	credentials.TransportCredentials
}

func (c dialTLS) Clone() credentials.TransportCredentials {
	return dialTLS{c.TransportCredentials.Clone()}
}

func (c dialTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, explainTLS(authority, err)
	}
	// That the other side refuses our certificate comes after the handshake.
	return &listening{Conn: conn, fault: func(_ []byte, err error) error { return refusedCertificate(authority, err) }}, info, nil
}

func explainTLS(authority string, err error) error {
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		return tlsFault("the master at %s has no TLS, and this node has: set tls-cert, tls-key and tls-ca at the masters too, or at no node", authority)
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return tlsFault("the certificate of the master at %s is for %s, and not for %s: have that master `advertise` a host that the certificate names (and workers dial it by that in `registry`), or give it a certificate for %s",
			authority, CertificateNames(wrong.Certificate), wrong.Host, wrong.Host)
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return tlsFault("the certificate of the master at %s is signed by none of the authorities in tls-ca of this node: tls-ca of every node must hold the authority of all", authority)
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return tlsFault("the certificate of the master at %s is not valid (%v): give that master a new one in tls-cert", authority, bad)
	}
	if refused := refusedCertificate(authority, err); refused != nil {
		return refused
	}
	return err
}

// refusedCertificate is an error when err is what the other side says of our certificate, else nil.
func refusedCertificate(authority string, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" { // so package tls calls an alert
		return nil
	}
	return tlsFault("the master at %s refuses the certificate of this node (%v): tls-cert must be valid, and signed by an authority in tls-ca of the masters", authority, op.Err)
}

// listening is a connection on which the first word is looked at. Only one goroutine reads it.
type listening struct {
	net.Conn
	heard bool
	fault func(word []byte, err error) error // nil: all is well
}

func (c *listening) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.heard && (n > 0 || err != nil) {
		c.heard = true
		if fault := c.fault(p[:n], err); fault != nil {
			return 0, fault
		}
	}
	return n, err
}

// serveTLS are the credentials of a server with TLS. Who dials it without is told so, in the words of TLS.
type serveTLS struct {
	credentials.TransportCredentials
}

func (c serveTLS) Clone() credentials.TransportCredentials {
	return serveTLS{c.TransportCredentials.Clone()}
}

var errNoTLS = errors.New("the other side speaks no TLS")

func (c serveTLS) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(raw, first); err != nil {
		return nil, nil, err
	}
	if first[0] != recordHandshake {
		tellTLS(raw)
		return nil, nil, errNoTLS
	}
	return c.TransportCredentials.ServerHandshake(&unread{raw, first})
}

// tellTLS says that this side speaks TLS, and waits a moment for the other one to hang up: a connection
// that is closed over what it has not read yet is reset, which would say that nobody is here.
func tellTLS(raw net.Conn) {
	const moment = time.Second
	if raw.SetDeadline(time.Now().Add(moment)) != nil {
		return
	}
	const fatal, handshakeFailure = 2, 40
	if _, err := raw.Write([]byte{recordAlert, 3, 3, 0, 2, fatal, handshakeFailure}); err != nil {
		return
	}
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, raw) // it ends with the connection or the moment
}

// unread is a connection with what was read too early.
type unread struct {
	net.Conn
	first []byte
}

func (c *unread) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}
