package client

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

const (
	defaultGuardTimeout = 5 * time.Second
	maxCacheFor         = time.Minute
	// idleConnections are kept open for the next requests; net/http's default is two.
	idleConnections = 100
)

// GuardOptions change how a Guard works. The zero GuardOptions are ready to use: the guard asks
// the service about every request and lets none pass without its consent.
type GuardOptions struct {
	// CacheFor is how long a decision of [VerifyValid] may be reused for the same secret, scopes
	// and client address, at most a minute (larger values mean a minute). A change of the key, such as its
	// revocation, takes effect here at most that long after it was made. With 0 the guard asks
	// about every request, and a change takes effect with the next one.
	//
	// Decisions about keys with a rate limit or quota are not reused, because every call must be counted.
	// Refusals are not reused either. No decision is reused after the key's expiry or the end of
	// a rotated secret's grace, by this machine's clock.
	CacheFor time.Duration
	// FailOpen lets requests pass while the service cannot answer: it cannot be reached, takes
	// longer than Timeout, or the answer is 502, 503 or 504. During that time any string passes
	// as a key, rate limits and quotas do not apply, and [KeyFrom] returns no key. Requests without
	// a key are still refused, and so are those whose key the service refused.
	//
	// Without FailOpen such requests are refused with 503. Even with it they are refused if
	// asking fails for a lasting reason, for example because the Client's own key is bad.
	FailOpen bool
	// Timeout bounds how long a request waits for the decision, including the Client's retries.
	// 0 means 5 seconds.
	Timeout time.Duration
	// Cost returns what a request costs in units of its key's quota, 0 to 1,000,000. With any other
	// cost the request is refused. Nil means that each request costs one.
	Cost func(*http.Request) int
	// ClientAddress returns the IP address that a request came from, or the empty string if it is
	// unknown. A port is dropped. Behind a proxy, it must not believe what the client itself may have sent.
	// Nil means that no address is known. Keys that may only be used from some networks are refused
	// without one.
	ClientAddress func(*http.Request) string
	// Log receives a line when the service could not be asked, with whether the request passed.
	// Nil means no log.
	Log *slog.Logger
}

// Guard lets only requests with a valid API key reach a handler. It takes the key from x-api-key
// or Authorization: Bearer and asks the service about it. It is safe for concurrent use.
//
//	guard := client.NewGuard(c, client.GuardOptions{})
//	mux.Handle("GET /datasets", guard.Require("datasets:read")(datasets))
//
// With Echo:
//
//	e.GET("/datasets", datasets, echo.WrapMiddleware(guard.Require("datasets:read")))
//
// Refusals have the service's own error shape: 401 without a valid key, 403 if the key lacks a
// scope or may not be used from the client's address, 429 with Retry-After if it is over its
// quota or rate limit, 503 with Retry-After if the service cannot be asked.
type Guard struct {
	client   *Client
	failOpen bool
	timeout  time.Duration
	cost     func(*http.Request) int
	address  func(*http.Request) string
	log      *slog.Logger
	cache    *answerCache // nil without CacheFor
}

// NewGuard returns a Guard that asks with c, whose key needs keys:verify.
func NewGuard(c *Client, o GuardOptions) *Guard {
	g := &Guard{
		client: c.withConnectionPool(), failOpen: o.FailOpen, timeout: o.Timeout, cost: o.Cost, address: o.ClientAddress, log: o.Log,
	}
	if g.timeout <= 0 {
		g.timeout = defaultGuardTimeout
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if o.CacheFor > 0 {
		g.cache = newAnswerCache(min(o.CacheFor, maxCacheFor), g.timeout, g.client.VerifyCall)
	}
	return g
}

// Require returns a middleware that lets a request pass if its key is valid and has all the
// scopes. The handler gets the key from [KeyFrom]. It must not read it from headers that name a
// key, because the caller may have sent them.
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

// KeyFrom returns the key that a [Guard] verified, from the context of the request. There is none
// if the Guard failed open or the request passed no Guard. With CacheFor, the key is as it was
// when the service was asked.
func KeyFrom(ctx context.Context) (Key, bool) {
	key, _ := ctx.Value(keyOfRequest{}).(*Key)
	if key == nil {
		return Key{}, false
	}
	return *key, true
}

// admit returns the key of a request that may pass, nil if the guard fails open, or the refusal.
func (g *Guard) admit(r *http.Request, scopes []string) (*Key, *refusal) {
	secret, refused := credential(r)
	if refused != nil {
		return nil, refused
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.timeout)
	defer cancel()
	call := Call{Secret: secret, Scopes: scopes}
	if g.cost != nil {
		call.Cost = new(g.cost(r))
	}
	if g.address != nil {
		call.ClientAddress = withoutPort(g.address(r))
	}
	verification, err := g.ask(ctx, call)
	if err != nil {
		return nil, g.unanswered(r.Context(), err)
	}
	if refused := refusalOf(verification, scopes); refused != nil {
		return nil, refused
	}
	return &verification.Key, nil
}

// withoutPort drops the port, which changes with each connection: the address is part of what is cached.
func withoutPort(address string) string {
	if withPort, err := netip.ParseAddrPort(address); err == nil {
		return withPort.Addr().String()
	}
	return address
}

func (g *Guard) ask(ctx context.Context, call Call) (Verification, error) {
	if g.cache == nil {
		return g.client.VerifyCall(ctx, call)
	}
	return g.cache.ask(ctx, call)
}

// unanswered decides about a request whose key could not be verified: nil lets it pass.
func (g *Guard) unanswered(ctx context.Context, err error) *refusal {
	e, _ := errors.AsType[*Error](err)
	switch {
	case ctx.Err() != nil:
		// The caller hung up. That must not make the guard fail open.
	case e != nil && !isOutage(e.Status):
		g.log.ErrorContext(ctx, "apikeyd does not verify API keys for this client; the request was refused", "error", err)
	case g.failOpen:
		g.log.WarnContext(ctx, "apikeyd cannot be asked; the request passed without a verified API key", "error", err)
		return nil
	default:
		g.log.WarnContext(ctx, "apikeyd cannot be asked; the request was refused", "error", err)
	}
	if e != nil {
		return unavailable(e.RetryAfter)
	}
	return unavailable(0)
}

// isOutage reports whether a status means that the service is away. A 500 is a defect of a
// running service, which a caller may know how to cause.
func isOutage(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// withConnectionPool returns the same Client with its own pool of connections, unless it already
// has a transport. net/http's default transport keeps only two idle connections per host, so most
// requests of a guard would open a new one.
func (c *Client) withConnectionPool() *Client {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if c.http.Transport != nil || !ok {
		return c
	}
	pooled := *c.sender
	transport := standard.Clone()
	transport.MaxIdleConnsPerHost = idleConnections
	pooled.http.Transport = transport
	return &Client{base: c.base, owner: c.owner, sender: &pooled}
}
