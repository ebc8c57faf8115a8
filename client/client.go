// Package client talks to an apikeyd service: it creates, lists, changes, rotates,
// revokes and verifies API keys. A [Guard] protects a service of yours with them.
//
//	c, err := client.New("https://keys.example.com", secret, client.Options{})
//
// # Errors
//
// A call that the service refuses returns an *[Error]; [CodeOf] returns the code to switch on.
// Any other error means that no answer came: the connection failed, or the context ended (then
// errors.Is finds its error). No error contains the caller's secret or a secret passed to a call.
//
// # Retries
//
// A call that failed for a temporary reason is retried up to [Options].MaxRetries times: after
// 0.1 to 0.2 seconds, then twice as long each time, on top of the service's Retry-After. If the
// wait would be longer than 30 seconds or than the context allows, the error is returned at once.
// Which calls are retried depends on what may have happened:
//
//   - Nothing was changed: no connection could be made, a 429, or a 503 of the service itself
//     ([CodeUnavailable]). Every call is retried.
//   - Something may have happened: the connection broke or timed out, the service does not
//     know ([CodeOutcomeUnknown]), or a proxy answered 502, 503 or 504. Calls that only read,
//     [Client.ReportLeak], and [Client.Update] and [Client.Revoke] by id are retried. Update and
//     Revoke by name are not, because the name may belong to another key by then. Nor are
//     [Client.Create]; [Client.Rotate], which would end the grace of the secret in use; and
//     [Client.Verify], which would count twice against a rate limit or quota.
package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	defaultRetries   = 3
	defaultUserAgent = "apikeyd-go-client"
	attemptTimeout   = 30 * time.Second
)

// Options change how a Client works. The zero Options are ready to use.
type Options struct {
	// HTTPClient makes the requests. Nil means one whose requests time out after 30 seconds.
	// Redirects are never followed, because they would send the secret elsewhere.
	HTTPClient *http.Client
	// MaxRetries is how often a call that failed for a temporary reason is retried. 0 means 3;
	// a negative number means never.
	MaxRetries int
	// UserAgent names the program in the service's log. Empty means "apikeyd-go-client".
	UserAgent string
}

// Client calls one service with one key. It is safe for concurrent use.
type Client struct {
	base  string // ends with a slash
	owner *string
	match *string
	*sender
}

// New returns a Client for the service at baseURL, which must be http or https and may have a
// path. The secret is that of the calling key. White space around it, such as the line break at
// the end of a file, and a byte order mark are ignored. New sends no request: a wrong URL or
// secret shows up at the first call.
func New(baseURL, secret string, o Options) (*Client, error) {
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, err
	}
	secret = strings.TrimFunc(secret, func(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' || r == '\u200B' })
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	s := &sender{
		http:       http.Client{Timeout: attemptTimeout},
		authorize:  func(r *http.Request) { r.Header.Set("X-Api-Key", secret) },
		redact:     func(text string) string { return strings.ReplaceAll(text, secret, redacted) },
		userAgent:  defaultUserAgent,
		maxRetries: defaultRetries,
		wait:       wait,
	}
	if o.HTTPClient != nil {
		s.http = *o.HTTPClient
	}
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if o.UserAgent != "" {
		s.userAgent = o.UserAgent
	}
	if o.MaxRetries != 0 {
		s.maxRetries = o.MaxRetries
	}
	return &Client{base: base, sender: s}, nil
}

// ForOwner returns a Client that creates, finds and lists only this owner's keys. Unless it is
// the calling key's own owner, that key needs keys:admin, or calls fail with [CodeForbidden]. An
// empty owner removes the restriction. Both clients share their connections.
func (c *Client) ForOwner(owner string) *Client {
	other := *c
	other.owner = nil
	if owner != "" {
		other.owner = &owner
	}
	return &other
}

// IfMatch returns a Client whose [Client.Update], [Client.Rotate] and [Client.Revoke] change a key only if it still
// has this [Key.ETag]; else they fail with [CodeKeyChanged]. So of two callers that read the same key, one changes
// it. An empty ETag removes the condition.
func (c *Client) IfMatch(etag string) *Client {
	other := *c
	other.match = nil
	if etag != "" {
		other.match = &etag
	}
	return &other
}

// parseBase never repeats its argument in an error: it may be a secret in the wrong place.
func parseBase(text string) (string, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil && strings.Contains(text, "://"):
		return "", errors.New("apikeyd: the base URL is not a URL")
	case err != nil, base.Scheme != "http" && base.Scheme != "https":
		return "", errors.New("apikeyd: the base URL must begin with http:// or https://")
	case base.Host == "":
		return "", errors.New("apikeyd: the base URL must name a host")
	case base.User != nil:
		return "", errors.New("apikeyd: the base URL must not hold a user or password")
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return "", errors.New("apikeyd: the base URL must not hold a query or fragment")
	}
	// URLs of requests are resolved against it; without the slash its last path segment is lost.
	return strings.TrimRight(base.String(), "/") + "/", nil
}

// checkSecret rejects a secret that cannot be sent in a header. The service checks the rest.
func checkSecret(secret string) error {
	if secret == "" {
		return errors.New("apikeyd: the secret is empty")
	}
	for i := range len(secret) {
		if secret[i] <= ' ' || secret[i] > '~' {
			return errors.New("apikeyd: the secret contains characters that no secret has")
		}
	}
	return nil
}

// wait waits for d. If ctx ends first, wait returns its error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
