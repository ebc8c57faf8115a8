package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// healthcheckCommand asks the server on this machine whether it is ready. It takes what
// serve takes, so that one environment tells both.
type healthcheckCommand struct {
	Listen  string        `default:"127.0.0.1:8080" env:"APIKEYD_LISTEN" placeholder:"ADDRESS" help:"Where serve listens (${default})."`
	TLSCert string        `name:"tls-cert" env:"APIKEYD_TLS_CERT" placeholder:"FILE" help:"The server's certificate, if it has one, to use TLS (none)."`
	Timeout time.Duration `default:"3s" placeholder:"DURATION" help:"How long to wait for the answer (${default})."`
}

// Help is shown by --help.
func (healthcheckCommand) Help() string {
	return `Examples:
  apikeyd healthcheck
  apikeyd healthcheck --listen 127.0.0.1:9000`
}

// Validate refuses an address that serve refuses, and a time in which nothing can be answered.
func (c *healthcheckCommand) Validate() error {
	if c.Timeout <= 0 {
		return errors.New("--timeout must be positive")
	}
	return checkAddress("--listen", c.Listen)
}

// Run succeeds if the server can read its database. An address such as 0.0.0.0:8080 or
// :8080 is every address of this machine to who listens, and this machine to who calls.
func (c *healthcheckCommand) Run(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	// A URL cannot hold every address that serve takes, so the address is dialled as it is.
	url := "http://localhost/readyz"
	if c.TLSCert != "" {
		url = "https://localhost/readyz"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, networkOf(c.Listen), c.Listen)
		},
		//nolint:gosec // G402: no name in a certificate is that of an address, and nothing secret is sent
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	response, err := client.Do(request)
	if err != nil {
		if errors.Is(err, http.ErrSchemeMismatch) {
			return fmt.Errorf("--listen %s: serve speaks no TLS there; leave --tls-cert and APIKEYD_TLS_CERT out", c.Listen)
		}
		return fmt.Errorf("--listen %s: %w", c.Listen, errors.Unwrap(err)) // without the URL
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusBadRequest && c.TLSCert == "" {
		return fmt.Errorf("--listen %s: /readyz answers %s; if serve speaks TLS, name its certificate with --tls-cert", c.Listen, response.Status)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("--listen %s: /readyz answers %s", c.Listen, response.Status)
	}
	_, err = fmt.Fprintln(s.out, "ready")
	return err
}
