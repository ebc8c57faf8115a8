package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

// kit is a running service and an admin's client, whose exchanges are checked against the contract.
type kit struct {
	*servertest.Server
	secret string // of the admin
	admin  *client.Client
}

func newKit(t *testing.T, o servertest.Options) *kit {
	t.Helper()
	k := &kit{Server: servertest.Start(t, o)}
	_, secret := k.Add(t, "admin", "admin", apikey.ScopeAdmin)
	k.secret = secret.Reveal()
	k.admin = k.as(t, k.secret)
	return k
}

// as returns a client with another key.
func (k *kit) as(t *testing.T, secret string) *client.Client {
	t.Helper()
	return newClient(t, k.URL, secret, client.Options{HTTPClient: k.Client, MaxRetries: -1})
}

func newClient(t *testing.T, url, secret string, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(url, secret, o)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks for a *client.Error with this status and code.
func wantError(t *testing.T, err error, status int, code string) {
	t.Helper()
	_ = errorIn(t, err, status, code)
}

// errorIn returns the *client.Error in err, which must have this status and code.
func errorIn(t *testing.T, err error, status int, code string) *client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("%v, want an *Error %d %s", err, status, code)
	}
	if e.Status != status || e.Code != code || client.CodeOf(err) != code {
		t.Errorf("%v, want %d %s", err, status, code)
	}
	return e
}

// names lists the names of keys, up to the first error.
func names(ctx context.Context, c *client.Client, o client.ListOptions) (all []string, err error) {
	for key, err := range c.List(ctx, o) {
		if err != nil {
			return all, err
		}
		all = append(all, key.Name)
	}
	return all, nil
}

// inAnHour is a valid expiry of a key.
func inAnHour() time.Time { return time.Now().Add(time.Hour) }

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer is the answer of a transport that sends no request.
func answer(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// counter counts the requests that pass through it.
type counter struct {
	base     http.RoundTripper
	requests atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.base.RoundTrip(r)
}

func second[T any](_ T, err error) error { return err }
