package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Ready asks the server that listens on an address of this machine whether it can read its database.
// Dialling 0.0.0.0:8080 or :8080 reaches this machine.
func Ready(ctx context.Context, listen string, overTLS bool) error {
	// A URL cannot express every address that serve accepts, so the address itself is dialled.
	url := "http://localhost/readyz"
	if overTLS {
		url = "https://localhost/readyz"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if path, isSocket := SocketPath(listen); isSocket {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}
			return new(net.Dialer).DialContext(ctx, networkOf(listen), listen)
		},
		//nolint:gosec // G402: no name in a certificate is that of an address, and nothing secret is sent
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	response, err := client.Do(request)
	if err != nil {
		if errors.Is(err, http.ErrSchemeMismatch) {
			return fmt.Errorf("--listen %s: serve does not use TLS there; omit --tls-cert and APIKEYD_TLS_CERT", listen)
		}
		return fmt.Errorf("--listen %s: %w", listen, errors.Unwrap(err)) // without the URL
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusBadRequest && !overTLS {
		return fmt.Errorf("--listen %s: /readyz answers %s; if serve uses TLS, name its certificate with --tls-cert", listen, response.Status)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("--listen %s: /readyz answers %s", listen, response.Status)
	}
	return nil
}
