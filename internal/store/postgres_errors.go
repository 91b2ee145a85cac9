// What errors of PostgreSQL, and of a pooler before it, mean to people.

package store

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"baton/internal/flow"
)

func (p *postgresDB) explain(err error) error { return explainPostgres(err) }

// broken tells whether a connection ended without a word of the server.
func broken(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

const (
	noUser     = "PostgreSQL refuses the user of `store`; check its name and password"
	noDatabase = "the database of `store` does not exist; make it with createdb"
)

// poolerSays are errors of PgBouncer by a part of their text: it has one SQLSTATE for all. Some stay until
// a person changes a setting.
var poolerSays = []struct {
	part, remedy string
	stays        bool
}{
	{"authentication failed", noUser, true},
	{"no such user", noUser, true},
	{"does not exist", noDatabase, true},
	{"no such database", noDatabase, true},
	{"unsupported startup parameter", "the pooler refuses a parameter of `store`; leave it out of the address, or name it in ignore_startup_parameters of the pooler", true},
	{"statement pooling mode", "the pooler of `store` pools single statements; set its pool_mode to transaction", true},
	{"max_client_conn", "the pooler of `store` has no connection left; raise its max_client_conn", false},
	{"max_user_connections", "the pooler of `store` has no connection left for this user; raise its max_user_connections", false},
	{"query_wait_timeout", "no connection of the pooler became free in time; raise its default_pool_size", false},
	{"server login", "the pooler of `store` is there, PostgreSQL behind it cannot be reached", false},
	{"connect failed", "the pooler of `store` is there, PostgreSQL behind it cannot be reached", false},
	{"server_connect_timeout", "the pooler of `store` is there, PostgreSQL behind it cannot be reached", false},
}

// encodingError is why a database whose texts are not UTF-8 is refused: it would take some of ours for
// others, or not at all.
type encodingError struct{ encoding string }

func (e *encodingError) Error() string { return "its encoding is " + e.encoding }

// checkEncoding looks at what a server said when it let us in; a pooler passes it on.
func checkEncoding(_ context.Context, conn *pgconn.PgConn) error {
	if is := conn.ParameterStatus("server_encoding"); is != "" && is != "UTF8" {
		return &encodingError{is}
	}
	return nil
}

// Refused tells whether a database refused this program for good: another try finds the same until
// a person changes a setting.
func Refused(err error) bool {
	s := sqlState(err)
	switch {
	case strings.HasPrefix(s, "28"), s == "3D000", s == "42501":
		return true
	case s == "08P01":
		for _, p := range poolerSays {
			if p.stays && strings.Contains(err.Error(), p.part) {
				return true
			}
		}
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, unreadable := errors.AsType[*pgconn.ParseConfigError](err)
	_, encoded := errors.AsType[*encodingError](err)
	return untrusted || unreadable || encoded || unknownParameter(err) || strings.Contains(err.Error(), saysNoTLS)
}

// saysNoTLS is what pgconn says of a server without TLS.
const saysNoTLS = "server refused TLS connection"

// unknownParameter tells whether PostgreSQL lets nobody in because of a parameter that it does not know.
func unknownParameter(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting && sqlState(err) == "42704"
}

func explainPostgres(err error) error {
	var known *flow.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if bad, ok := errors.AsType[*encodingError](err); ok {
		return explained{flow.Errorf(flow.CodeUnavailable, "store",
			"the database of `store` has the encoding %s; make another one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in `store`", bad.encoding), err}
	}
	remedy := remedyFor(err)
	if remedy == "" {
		return err
	}
	return explained{flow.Errorf(flow.CodeUnavailable, "store", "%s (%v)", remedy, err), err}
}

// remedyFor says what to do, "" if that is not known.
func remedyFor(err error) string {
	says := err.Error()
	switch s := sqlState(err); {
	case s == "53100":
		return "the disk of PostgreSQL is full; nothing was lost, make room and it goes on"
	case s == "25006":
		return "PostgreSQL is read-only here; name the primary in `store`"
	case s == "53300":
		return "PostgreSQL has no connection left; raise max_connections, or the CONNECTION LIMIT of its role or database"
	case s == "28000" && strings.Contains(says, "pg_hba.conf"):
		return "PostgreSQL refuses the user of `store` from this host; add a line for it to pg_hba.conf (one with hostssl asks for sslmode=require in `store`)"
	case strings.HasPrefix(s, "28"):
		return noUser
	case s == "3D000":
		return noDatabase
	case s == "08P01":
		for _, p := range poolerSays {
			if strings.Contains(says, p.part) {
				return p.remedy
			}
		}
		return "PostgreSQL cannot be reached"
	case strings.HasPrefix(s, "57P"), strings.HasPrefix(s, "08"):
		return "PostgreSQL cannot be reached"
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, noHost := errors.AsType[*net.DNSError](err)
	var connect *pgconn.ConnectError
	switch {
	case untrusted:
		return "the certificate of PostgreSQL is not trusted; name its authority with sslrootcert=FILE in `store`, and the host it was made for"
	case unknownParameter(err):
		return "PostgreSQL does not know a parameter of `store`; check what stands behind its question mark"
	case strings.Contains(says, saysNoTLS):
		return "`store` asks for TLS and PostgreSQL, or the pooler before it, has none; switch it on there, or write sslmode=disable if the way to it is safe"
	case noHost:
		return "PostgreSQL cannot be reached: the host of `store` has no address; check its name"
	case errors.As(err, &connect) && strings.Contains(says, "failed to receive message"): // so pgconn says
		return "PostgreSQL cannot be reached: what listens there does not answer as PostgreSQL does; check host and port of `store`, and that it is not frozen"
	case errors.As(err, &connect):
		return "PostgreSQL cannot be reached; check host and port of `store`, and that it runs"
	case broken(err):
		return "PostgreSQL cannot be reached: the connection broke, and whether what was asked was done is not known"
	}
	return ""
}
