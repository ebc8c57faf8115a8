// Package handlers serves the contract over HTTP: it authenticates and validates requests, calls the
// store, and maps every error to the contract's error shape.
package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/telemetry/logging"
	"apikeyd/internal/webhook"
	"apikeyd/store"
	"apikeyd/verify"
)

// Store has the methods of store.Store that a Server calls. Reads that the cache can answer go through
// Verifier.Keys instead.
type Store interface {
	Key(ctx context.Context, ref store.Ref) (apikey.Key, error)
	Summary(ctx context.Context, owner string, at time.Time) (store.Summary, error)
	CreateKey(ctx context.Context, actor store.Actor, key apikey.Key) error
	UpdateKey(ctx context.Context, actor store.Actor, ref store.Ref, change apikey.Change) (apikey.Key, error)
	RevokeKey(ctx context.Context, actor store.Actor, ref store.Ref, reason apikey.Reason) (apikey.Key, error)
	RotateKey(ctx context.Context, actor store.Actor, ref store.Ref, rotation apikey.Rotation) (apikey.Key, error)
	ImportKey(ctx context.Context, actor store.Actor, key apikey.Key, scheme apikey.Scheme) error
	ForeignKey(ctx context.Context, secrets []apikey.Foreign) (apikey.ID, apikey.Hash, error)
	EndSecret(ctx context.Context, actor store.Actor) (apikey.Key, error)
	Owner(ctx context.Context, name string, at time.Time) (store.OwnerState, error)
	Owners(ctx context.Context, q store.OwnerQuery) (store.OwnerPage, error)
	Room(ctx context.Context, name string, at time.Time) (room int, bounded bool, err error)
	UpdateOwner(ctx context.Context, actor store.Actor, name string, change apikey.OwnerChange) (apikey.Owner, error)
	StartSession(ctx context.Context, actor store.Actor, key apikey.Key) error
	EndSession(ctx context.Context, actor store.Actor) error
	CreateLink(ctx context.Context, actor store.Actor, link apikey.Link) error
	OpenLink(ctx context.Context, actor store.Actor, id apikey.ID, token apikey.Hash, start func(apikey.Link, *apikey.Key) (apikey.Key, error)) error
	CreateWebhook(ctx context.Context, actor store.Actor, w store.Webhook) error
	Webhook(ctx context.Context, id apikey.ID) (store.Webhook, error)
	Webhooks(ctx context.Context) ([]store.Webhook, error)
	UpdateWebhook(ctx context.Context, actor store.Actor, id apikey.ID, change store.WebhookChange) (store.Webhook, error)
	RotateWebhook(ctx context.Context, actor store.Actor, id apikey.ID, secret store.WebhookSecret, grace time.Duration) (store.Webhook, error)
	DeleteWebhook(ctx context.Context, actor store.Actor, id apikey.ID) (store.Webhook, error)
	TestWebhook(ctx context.Context, actor store.Actor, id apikey.ID) (store.Delivery, error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, error)
	RetryDelivery(ctx context.Context, actor store.Actor, id, event apikey.ID) (store.Delivery, error)
	AuditEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error)
	AuditedSince(ctx context.Context) (time.Time, error)
	Ping(ctx context.Context) error
}

// Config is what a Server needs. Store, Verifier, Log and Now must be set.
type Config struct {
	Store    Store
	Verifier *verify.Verifier
	Policy   apikey.Policy
	Log      *slog.Logger
	Now      func() time.Time

	TrustedProxies []netip.Prefix   // whose X-Forwarded-For is believed
	TrustSocket    bool             // so is that of connections without an address, over a Unix socket
	AuthFailures   apikey.RateLimit // for each address; the zero RateLimit is unlimited

	// CORSOrigins are the origins whose scripts may call the operations, such as https://app.example.com.
	CORSOrigins []string
	// PassPreflights makes forward-auth let browsers' preflights pass, which carry no key.
	PassPreflights bool

	// PublicURL is where people reach this service, with its base path. Empty is where the caller reached this service.
	PublicURL string
	// ScanningKeys verify GitHub's secret scanning; nil switches that off.
	ScanningKeys Signatures
	// CheckWebhookURL returns an *apikey.InvalidError if nothing may be delivered to a URL. Nil takes public receivers
	// over TLS.
	CheckWebhookURL func(url string) error
	// Notices returns the details that /readyz lists, such as an unreconciled restore. It may be nil.
	Notices func() []string
	// Observers see every request, in this order.
	Observers []Observer
	// RefusalLines limits log lines about refusals: so many a second for each code. The rest are
	// counted. 0 is unlimited.
	RefusalLines int
}

// Server implements the operations of the contract.
type Server struct {
	Config
	authFailures failureLimiter
	leakReports  failureLimiter // ineffective ones
	unsigned     failureLimiter // requests that should be signed
	pages        *pages
	refusals     *logging.Limiter // nil is unlimited
	logAttrs     sync.Pool        // of *[]slog.Attr
}

var _ gen.StrictServerInterface = (*Server)(nil)

// New returns the handler for the contract's operations under /v1, for /healthz and /readyz, and for the
// contract itself with its docs page. It fails if an operation of the contract is unprotected.
func New(c Config) (http.Handler, error) {
	s := newServer(c)
	guards, err := s.newGuards()
	if err != nil {
		return nil, err
	}
	return s.handler(s, guards)
}

// handler routes requests through guards to the operations of api.
func (s *Server) handler(api gen.StrictServerInterface, guards guards) (http.Handler, error) {
	e := s.newEcho(s.begin, recoverPanics())
	contract := gen.NewStrictHandler(api, []gen.StrictMiddlewareFunc{requireCaller})
	gen.RegisterHandlersWithOptions(e, contract, gen.RegisterHandlersOptions{OperationMiddlewares: guards})
	registerForwardAuth(e, contract, guards)
	probes := []string{http.MethodGet, http.MethodHead}
	e.Match(probes, "/healthz", s.healthz, named(Healthz, "/healthz"))
	e.Match(probes, "/readyz", s.readyz, named(Readyz, "/readyz"))
	if err := registerDocs(e); err != nil {
		return nil, err
	}
	return e, nil
}

func newServer(c Config) *Server {
	s := &Server{
		Config:       c,
		pages:        newPages(),
		authFailures: newFailureLimiter(c.AuthFailures, "calls with a bad API key"),
		leakReports:  newFailureLimiter(leakRate, "reports of secrets that work for no key"),
		unsigned:     newFailureLimiter(leakRate, "reports without a valid signature"),
	}
	if s.CheckWebhookURL == nil {
		s.CheckWebhookURL = (&webhook.Guard{}).CheckURL
	}
	if c.RefusalLines > 0 {
		s.refusals = logging.NewLimiter(c.RefusalLines, s.logHeld)
	}
	return s
}

// newEcho returns a router whose errors writeError answers.
func (s *Server) newEcho(middleware ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = s.writeError
	e.Use(middleware...)
	return e
}

// recoverPanics turns a panic into a *panicError.
func recoverPanics() echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableStackAll: true,
		LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
			return &panicError{cause: err, stack: string(stack)}
		},
	})
}

// healthz reports that the process answers.
func (s *Server) healthz(c echo.Context) error {
	return c.JSONBlob(http.StatusOK, []byte(`{"status":"ok"}`+"\n"))
}

// readyz reports that the store answers too. The store may still refuse writes: keys can be verified
// even when the disk is full.
func (s *Server) readyz(c echo.Context) error {
	if err := s.Store.Ping(c.Request().Context()); err != nil {
		return err
	}
	if s.Notices != nil {
		if notices := s.Notices(); len(notices) > 0 {
			return c.JSON(http.StatusOK, map[string]any{"status": "ok", "details": notices})
		}
	}
	return s.healthz(c)
}
