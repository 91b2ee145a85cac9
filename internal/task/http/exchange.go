// The exchange itself: request out, answer in, within size, time and redirects.

package http

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"time"

	"baton/internal/task"
)

// Causes of attempts that got no answer to judge; with one the cause is http:STATUS.
const (
	causeConnect    = "http:connect"
	causeDNS        = "http:dns"
	causeTLS        = "http:tls"
	causeTimeout    = "http:timeout"
	causeRedirect   = "http:redirect"
	causeTooLarge   = "http:too_large"
	causeExpression = "http:expression"
)

const (
	maxBody      = 8 << 20
	maxRedirects = 10
)

var errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)

// answer is what came back.
type answer struct {
	status int
	line   string // "503 Service Unavailable"
	header nethttp.Header
	body   []byte
}

func (s *settings) exchange(ctx context.Context, transport nethttp.RoundTripper, log io.Writer) (*answer, error) {
	exchangeCtx := ctx
	if s.timeout > 0 {
		var cancel context.CancelFunc
		exchangeCtx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	request, err := s.request(exchangeCtx)
	if err != nil {
		return nil, err
	}
	logRequest(log, s)
	begin := time.Now()
	client := nethttp.Client{Transport: transport, CheckRedirect: s.checkRedirect}
	response, err := client.Do(request)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	defer response.Body.Close()
	// One byte more than allowed tells a full answer from one that goes on.
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	logAnswer(log, response.Status, len(body), time.Since(begin))
	if len(body) > maxBody {
		return nil, &task.Failure{Cause: causeTooLarge, Message: fmt.Sprintf("%s answered %s with more than %d MiB; ask for less, or fetch it in a shell task", s.target(), response.Status, maxBody>>20)}
	}
	return &answer{status: response.StatusCode, line: response.Status, header: response.Header, body: body}, nil
}

// checkRedirect stops where the options say so and keeps secrets with the host they are for.
func (s *settings) checkRedirect(next *nethttp.Request, via []*nethttp.Request) error {
	if !s.follow {
		return nethttp.ErrUseLastResponse
	}
	if len(via) >= maxRedirects {
		return errRedirects
	}
	if next.URL.Scheme != s.url.Scheme || next.URL.Host != s.url.Host {
		for _, name := range s.secrets {
			next.Header.Del(name)
		}
	}
	return nil
}

// explain turns an error of the library into a failure with a cause and a remedy.
func (s *settings) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil { // the attempt was cancelled, whatever the library calls it
		return fmt.Errorf("%s: %w", s.target(), context.Cause(ctx))
	}
	failure := &task.Failure{Cause: causeConnect, Message: s.target(), Err: withoutURL(err)}
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, errRedirects):
		failure.Cause = causeRedirect
	case errors.Is(err, context.DeadlineExceeded):
		failure.Cause, failure.Message, failure.Err = causeTimeout, fmt.Sprintf("%s gave no complete answer within %v; `timeout` sets how long to wait", s.target(), s.timeout), nil
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		failure.Cause, failure.Message = causeTLS, s.target()+": the certificate is not trusted (`ca_file` names further ones)"
	case errors.As(err, &dns):
		failure.Cause = causeDNS
	}
	return failure
}

// target names the request without user, password and query, which may be long or private.
func (s *settings) target() string {
	u := url.URL{Scheme: s.url.Scheme, Host: s.url.Host, Path: s.url.Path}
	return s.method + " " + u.String()
}

// withoutURL drops the URL the library puts around its errors: it may hold a password.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
