package client

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

const (
	askTimeout     = 5 * time.Second
	longestCaching = time.Minute
	// idleConnections are kept for the next requests; net/http keeps two.
	idleConnections = 100
)

// GuardOptions change how a Guard works. The zero GuardOptions are ready to use: every
// request asks the service, and nothing passes that it did not let pass.
type GuardOptions struct {
	// CacheFor is how long a decision of [VerifyValid] may be used again for the same secret
	// and scopes, up to a minute (more is a minute). So a change of the key, such as its
	// revocation, is in force here at most that long after it was made. 0 asks for every
	// request, and a change is in force with the next one.
	//
	// Only keys without a rate limit are reused, since every call must be counted; never
	// past a key's end or the grace of a rotated secret, by the clock of this machine. No
	// refusal is reused.
	CacheFor time.Duration
	// FailOpen lets requests pass while the service cannot answer: it cannot be reached,
	// takes longer than Timeout, or the answer is 502, 503 or 504. Then any string passes
	// for a key, no rate limit holds, and [KeyFrom] finds no key. A request without a key is
	// still refused, and so is one whose key the service refused.
	//
	// Otherwise such requests are refused, with 503. So they are, whatever FailOpen says,
	// where asking fails for a reason that does not pass by itself, such as a Client whose
	// own key is bad.
	FailOpen bool
	// Timeout bounds how long a request waits for the decision, the Client's retries
	// included. 0 is 5 seconds.
	Timeout time.Duration
	// Log is told when the service could not be asked, and whether requests passed. Nil
	// tells nobody.
	Log *slog.Logger
}

// Guard lets only requests with a good API key reach a handler: it asks the service
// whether the key in x-api-key or Authorization: Bearer is good. It is safe for
// concurrent use.
//
//	guard := client.NewGuard(c, client.GuardOptions{})
//	mux.Handle("GET /datasets", guard.Require("datasets:read")(datasets))
//
// With Echo:
//
//	e.GET("/datasets", datasets, echo.WrapMiddleware(guard.Require("datasets:read")))
//
// Requests that it refuses are answered in the service's own error shape: 401 without a
// good key, 403 if the key lacks a scope, 429 with Retry-After if it is over its rate
// limit, 503 with Retry-After if the service cannot be asked.
type Guard struct {
	client   *Client
	failOpen bool
	timeout  time.Duration
	log      *slog.Logger
	cache    *answerCache // nil without CacheFor
}

// NewGuard returns a Guard that asks with c, whose key needs keys:verify.
func NewGuard(c *Client, o GuardOptions) *Guard {
	g := &Guard{client: c.forManyRequests(), failOpen: o.FailOpen, timeout: o.Timeout, log: o.Log}
	if g.timeout <= 0 {
		g.timeout = askTimeout
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if o.CacheFor > 0 {
		g.cache = newAnswerCache(min(o.CacheFor, longestCaching), g.timeout, g.client.Verify)
	}
	return g
}

// Require returns a middleware that lets a request pass if its key is good and holds all
// the scopes. The handler finds the key by [KeyFrom], and nowhere else: headers that name
// a key are as the caller sent them.
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	wanted := slices.Clone(scopes)
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key, refused := g.admit(r, wanted)
			if refused != nil {
				refused.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyOfRequest{}, key)))
		})
	}
}

type keyOfRequest struct{}

// KeyFrom returns the key that a [Guard] let pass, from the context of its request. There
// is none if the request passed because the Guard fails open, or passed no Guard. With
// CacheFor, the key is as it was when the service was asked.
func KeyFrom(ctx context.Context) (Key, bool) {
	key, _ := ctx.Value(keyOfRequest{}).(*Key)
	if key == nil {
		return Key{}, false
	}
	return *key, true
}

// admit returns the key of a request that may pass, nil if it passes without, or what
// the request is refused with.
func (g *Guard) admit(r *http.Request, scopes []string) (*Key, *refusal) {
	secret, refused := credential(r)
	if refused != nil {
		return nil, refused
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.timeout)
	defer cancel()
	verification, err := g.ask(ctx, secret, scopes)
	if err != nil {
		return nil, g.unanswered(r.Context(), err)
	}
	if refused := refusalOf(verification, scopes); refused != nil {
		return nil, refused
	}
	return &verification.Key, nil
}

func (g *Guard) ask(ctx context.Context, secret string, scopes []string) (Verification, error) {
	if g.cache == nil {
		return g.client.Verify(ctx, secret, scopes...)
	}
	return g.cache.ask(ctx, secret, scopes)
}

// unanswered decides about a request whose key is not known to be good or bad: nil lets
// it pass.
func (g *Guard) unanswered(ctx context.Context, err error) *refusal {
	e, _ := errors.AsType[*Error](err)
	switch {
	case ctx.Err() != nil:
		// The caller did not wait. It must not get by hanging up what it may not have.
	case e != nil && !passes(e.Status):
		g.log.ErrorContext(ctx, "apikeyd does not verify API keys for this client; the request was refused", "error", err)
	case g.failOpen:
		g.log.WarnContext(ctx, "apikeyd cannot be asked; the request passed without a verified API key", "error", err)
		return nil
	default:
		g.log.WarnContext(ctx, "apikeyd cannot be asked; the request was refused", "error", err)
	}
	if e != nil {
		return closed(e.RetryAfter)
	}
	return closed(0)
}

// passes reports whether an answer with this status says that the service is away. A 500
// says that it is there and has a defect, which a caller may know how to cause.
func passes(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// forManyRequests is the same Client, with a pool of connections of its own if it uses
// net/http's. That keeps two, which is too few for a program that asks with every request
// it gets: it would open a connection for most of them.
func (c *Client) forManyRequests() *Client {
	usual, ok := http.DefaultTransport.(*http.Transport)
	if c.http.Transport != nil || !ok {
		return c
	}
	many := *c.sender
	transport := usual.Clone()
	transport.MaxIdleConnsPerHost = idleConnections
	many.http.Transport = transport
	return &Client{base: c.base, owner: c.owner, sender: &many}
}
