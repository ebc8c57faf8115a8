package handlers

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/internal/basepath"
	"apikeyd/store"
)

// requestTimeout limits a request, including reading its body and waiting for the database. It is
// shorter than the server's write timeout, so that the answer can still be sent.
const requestTimeout = 10 * time.Second

// exchange is one request's state: its layers share it, and the log line is made from it.
// It is also the request's context, so that one copy of the request is enough, and the deadline's
// timer starts only when something waits. That saves about 16 % of a verify request (BenchmarkShortcuts).
type exchange struct {
	context.Context //nolint:containedctx // the connection's; an exchange is a context itself

	start     time.Time // on the service's clock
	arrived   time.Time // on the machine's clock
	requestID string
	origin    string // of this service, as the caller reached it; set where it is needed

	address netip.Addr // of the client; zero if unknown
	proxied bool       // a trusted proxy reported address
	direct  bool       // no proxy reported anything

	caller  caller
	called  bool // the caller is authenticated
	visited bool // the operation is public

	shown   *apikey.Key // whose secret the request carries, accepted or not
	changes bool        // the operation changes something
	basic   bool        // the operation accepts HTTP Basic
	err     error       // the answered error
	problem problem     // its HTTP form
	answer  Answer      // for the observers

	mu      sync.Mutex
	timed   context.Context //nolint:containedctx // made on first use
	release context.CancelFunc
}

// caller is the authenticated caller of a request.
type caller struct {
	key       *apikey.Key // read-only
	hash      apikey.Hash // of the secret in the request
	address   netip.Addr
	requestID string
	command   string // the operator's; empty unless the caller is the operator
}

// actor returns the caller as an actor of the store.
func (c caller) actor() store.Actor {
	if c.command != "" {
		return store.Operator(c.command)
	}
	return store.Actor{Key: c.key.ID, Secret: c.hash, Via: "http", Address: addressText(c.address), RequestID: c.requestID}
}

// addressText returns an address for the audit log, or "" if it is unknown.
func addressText(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}

type exchangeKey struct{}

// exchangeOf returns the exchange that a context belongs to, or an empty one.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{Context: ctx}
}

// callerFrom returns the authenticated caller. Only handlers of public operations run without one.
func callerFrom(ctx context.Context) caller { return exchangeOf(ctx).caller }

// Value implements context.Context.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	if key == (store.AskerKey{}) && x.called {
		return store.Asker{Owner: x.caller.key.Owner, Key: x.caller.key.ID}
	}
	return x.current().Value(key)
}

// Deadline implements context.Context.
func (x *exchange) Deadline() (time.Time, bool) { return x.limited().Deadline() }

// Done implements context.Context.
func (x *exchange) Done() <-chan struct{} { return x.limited().Done() }

// Err implements context.Context.
func (x *exchange) Err() error { return x.current().Err() }

// current returns the context with the deadline if it exists, else the one without.
func (x *exchange) current() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timed != nil {
		return x.timed
	}
	return x.Context
}

// limited returns the context with the deadline.
func (x *exchange) limited() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timed == nil {
		x.timed, x.release = context.WithDeadline(x.Context, x.arrived.Add(requestTimeout))
	}
	return x.timed
}

// end releases the timer, if there is one.
func (x *exchange) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.release != nil {
		x.release()
	}
}

// begin makes the exchange, sets the common headers, and logs changes, refusals and failures.
// Successful reads and verifications are not logged: a line would cost too much.
func (s *Server) begin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		// A request id from the client is ignored.
		x := &exchange{Context: r.Context(), start: s.Now(), arrived: time.Now(), requestID: rand.Text()}
		x.address, x.proxied = s.client(r)
		x.direct = len(r.Header["X-Forwarded-For"]) == 0
		defer x.end()
		x.answer.Operation = Other
		for _, o := range s.Observers {
			x.Context = o.Began(x.Context, r)
		}
		c.SetRequest(r.WithContext(x))
		values := [...]string{x.requestID, "no-store"}
		header := c.Response().Header()
		header["X-Request-Id"], header["Cache-Control"] = values[:1:1], values[1:]
		s.allowOrigin(c)
		if framedUnsafely(r) {
			header["Connection"] = []string{"close"}
		}
		err := errOutside
		if !basepath.IsOutside(x) {
			err = next(c)
		}
		if err != nil {
			c.Error(err)
		}
		status := c.Response().Status
		if x.changes || status >= http.StatusBadRequest {
			s.logRequest(c, x)
		}
		s.observed(x, status)
		return nil
	}
}

// framedUnsafely reports whether a proxy and net/http may disagree on where this request ends, which
// allows request smuggling: net/http accepts Transfer-Encoding together with Content-Length, and
// ignores it in HTTP/1.0 (RFC 9112, section 6.3). The connection must close after such a request.
func framedUnsafely(r *http.Request) bool {
	return r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0)
}
