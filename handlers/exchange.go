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
	"apikeyd/store"
)

// requestTimeout is how long a request may take, its body and the database together. It
// is shorter than the server's write timeout, so that the answer still gets out.
const requestTimeout = 10 * time.Second

// exchange is one request, and what its layers leave for each other and for its log line.
// It is also the request's context: so one allocation and one copy of the request are
// enough for all of it, and the timer of its deadline is made only if somebody waits.
type exchange struct {
	context.Context //nolint:containedctx // it is a context: that of the connection, and more

	start     time.Time // by the service's clock
	arrived   time.Time // by the machine's
	requestID string

	address netip.Addr // of the client; the zero Addr if it is not known
	proxied bool       // a trusted proxy told it

	caller  caller
	called  bool // the caller proved itself
	visited bool // a public operation is called

	shown   *apikey.Key // whose secret was shown, good or not
	changes bool        // the operation changes something
	basic   bool        // the operation takes HTTP Basic
	err     error       // that was answered
	problem problem     // what was answered for it
	answer  Answer      // for the observers

	mu      sync.Mutex
	timed   context.Context //nolint:containedctx // made when first asked for
	release context.CancelFunc
}

// caller is who makes a request.
type caller struct {
	key       *apikey.Key // not to be changed
	hash      apikey.Hash // of the secret that it showed
	address   netip.Addr
	requestID string
	command   string // of the operator; empty for the holder of a key
}

// actor is the caller as the store knows it.
func (c caller) actor() store.Actor {
	if c.command != "" {
		return store.Operator(c.command)
	}
	return store.Actor{Key: c.key.ID, Secret: c.hash, Via: "http", Address: addressText(c.address), RequestID: c.requestID}
}

// addressText is an address for the audit log, empty if it is none.
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

// callerFrom returns who makes the request. No handler runs before there is somebody,
// but for those of public operations.
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

// current is the context with the deadline if there is one yet.
func (x *exchange) current() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timed != nil {
		return x.timed
	}
	return x.Context
}

// limited is the context with the deadline.
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

// begin gives each exchange its id and its common headers, and logs every change and
// every refusal. Reads and verifications that succeed are not worth their cost.
func (s *Server) begin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		// The id is ours, never the caller's.
		x := &exchange{Context: r.Context(), start: s.Now(), arrived: time.Now(), requestID: rand.Text()}
		x.address, x.proxied = s.client(r)
		defer x.end()
		x.answer.Operation = Other
		for _, o := range s.Observers {
			x.Context = o.Began(x.Context, r)
		}
		c.SetRequest(r.WithContext(x))
		values := [...]string{x.requestID, "no-store"}
		header := c.Response().Header()
		header["X-Request-Id"], header["Cache-Control"] = values[:1:1], values[1:]
		if framedUnsafely(r) {
			header["Connection"] = []string{"close"}
		}
		if err := next(c); err != nil {
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

// framedUnsafely reports whether a proxy may have seen another end of this request than
// net/http: it takes Transfer-Encoding beside Content-Length, and ignores it in HTTP/1.0,
// without a word (RFC 9112, section 6.3). What follows on the connection would be taken for
// the next request, so there must be none.
func framedUnsafely(r *http.Request) bool {
	return r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0)
}
