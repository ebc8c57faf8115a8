package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
)

const keyID = "0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f"

// The outcomes of an attempt.
var (
	unavailable = says(503, nil, `{"status":503,"code":"UNAVAILABLE","message":"try again"}`)
	limited     = says(429, nil, `{"status":429,"code":"SOME_CODE","message":"slow down"}`)
	internal    = says(500, nil, `{"status":500,"code":"INTERNAL","message":"a defect"}`)
	proxy502    = says(502, nil, "<h1>Bad Gateway</h1>")
	proxy503    = says(503, nil, "<h1>Service Unavailable</h1>")
	proxy504    = says(504, nil, "<h1>Gateway Timeout</h1>")
	refused     = fails(&net.OpError{Op: "dial", Err: errors.New("connection refused")})
	reset       = fails(&net.OpError{Op: "read", Err: errors.New("connection reset by peer")})
	cutShort    = fails(io.ErrUnexpectedEOF)
	untrusted   = fails(&tls.CertificateVerificationError{Err: errors.New("unknown authority")})
)

type reply func() (*http.Response, error)

func says(status int, header http.Header, body string) reply {
	return func() (*http.Response, error) { return answer(status, header, body), nil }
}

func fails(err error) reply { return func() (*http.Response, error) { return nil, err } }

// script is a transport that plays its replies and then answers every call successfully.
type script struct {
	replies []reply
	at      []time.Duration // when each request came, from the first
	bodies  []string
	start   time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(s.at) == 0 {
		s.start = time.Now()
	}
	s.at = append(s.at, time.Since(s.start))
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		s.bodies = append(s.bodies, string(body))
	}
	if n := len(s.at); n <= len(s.replies) {
		return s.replies[n-1]()
	}
	key := fmt.Sprintf(`"id":%q`, keyID)
	switch {
	case strings.HasSuffix(r.URL.Path, "/v1/verify"):
		return answer(200, nil, `{"valid":true,"code":"VALID","key":{`+key+`}}`), nil
	case strings.HasSuffix(r.URL.Path, "/v1/leaked-keys"):
		return answer(202, nil, `{"message":"thanks"}`), nil
	case strings.HasSuffix(r.URL.Path, "/rotate"):
		return answer(200, nil, `{`+key+`,"secret":"s"}`), nil
	case r.Method == http.MethodPost:
		return answer(201, nil, `{`+key+`,"secret":"s"}`), nil
	case strings.HasSuffix(r.URL.Path, "/v1/api-keys"):
		return answer(200, nil, `{"data":[{`+key+`}],"pagination":{"total_pages":1}}`), nil
	}
	return answer(200, nil, `{`+key+`}`), nil
}

func (s *script) client(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	o.HTTPClient = &http.Client{Transport: s}
	return newClient(t, "http://keys.test", "secret", o)
}

// calls are all calls of the client.
var calls = map[string]func(context.Context, *client.Client) error{
	"create": func(ctx context.Context, c *client.Client) error {
		_, err := c.Create(ctx, client.NewKey{Name: "n"})
		return err
	},
	"get": func(ctx context.Context, c *client.Client) error { _, err := c.Get(ctx, "n"); return err },
	"list": func(ctx context.Context, c *client.Client) error {
		_, err := names(ctx, c, client.ListOptions{})
		return err
	},
	"update by name": func(ctx context.Context, c *client.Client) error {
		_, err := c.Update(ctx, "n", client.Change{})
		return err
	},
	"update by id": func(ctx context.Context, c *client.Client) error {
		_, err := c.Update(ctx, keyID, client.Change{})
		return err
	},
	"rotate by name": func(ctx context.Context, c *client.Client) error { _, err := c.Rotate(ctx, "n", 0); return err },
	"rotate by id":   func(ctx context.Context, c *client.Client) error { _, err := c.Rotate(ctx, keyID, 0); return err },
	"verify":         func(ctx context.Context, c *client.Client) error { _, err := c.Verify(ctx, "s"); return err },
	"report a leak":  func(ctx context.Context, c *client.Client) error { return c.ReportLeak(ctx, "s") },
	"revoke by name": func(ctx context.Context, c *client.Client) error { _, err := c.Revoke(ctx, "n"); return err },
	"revoke by id":   func(ctx context.Context, c *client.Client) error { _, err := c.Revoke(ctx, keyID); return err },
}
