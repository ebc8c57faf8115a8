// Package service runs the server: it opens the database, makes the first key, listens, serves
// the API, the console, the metrics and the profiles, and shuts down in order.
package service

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"apikeyd/apikey"
	"apikeyd/console"
	"apikeyd/handlers"
	"apikeyd/internal/basepath"
	"apikeyd/internal/keycache"
	"apikeyd/internal/telemetry/metrics"
	"apikeyd/internal/telemetry/tracing"
	"apikeyd/internal/webhook"
	"apikeyd/store/dbname"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// Config configures a server.
type Config struct {
	Database string // a SQLite file, or a postgres:// URL
	Policy   apikey.Policy
	Settings
	Build metrics.Build // the program's version, for the log, metrics and traces
	Log   io.Writer
	Shown []console.Setting // what the console shows of the settings

	signatures handlers.Signatures // of GitHub's secret scanning; nil if it is off
}

// Run serves until ctx ends. Then it stops accepting connections, finishes requests in flight,
// flushes what is in memory and closes the store. From the call on, SIGHUP reloads the certificate and
// SIGPIPE is ignored in this process.
func Run(ctx context.Context, c Config) (err error) {
	hangups := serveSignals()
	log, lines := c.startLog(c.Log)
	defer lines.Close()
	// Before the database is opened: a start that fails here must leave no files behind.
	certificate, err := c.load(log, time.Now)
	if err != nil {
		return err
	}
	if c.signatures, err = c.scanningKeys(ctx, log); err != nil {
		return err
	}
	entrance, err := c.entrance(log)
	if err != nil {
		return err
	}
	listeners, err := c.listen(ctx, log)
	if err != nil {
		return err
	}
	defer listeners.close()
	tracer, err := tracing.Start(ctx, os.LookupEnv, log, c.Build.Version)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTracing(tracer)) }()
	db, err := c.openToServe(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	restored, err := newRestoreWatch(ctx, db, log)
	if err != nil {
		return err
	}
	s, err := c.newServer(db, restored, tracer, slog.New(tracer.LogHandler(log.Handler())), lines.Dropped)
	if err != nil {
		return err
	}
	if s.http.Handler, err = c.withConsole(s.http.Handler, entrance, s.sessions, restored, c.about(db, time.Now()), s.log); err != nil {
		return err
	}
	s.http.Handler = drained(c.belowBasePath(s.http.Handler))
	s.listener, s.certificate, s.hangups = listeners.api, certificate, hangups
	defer serveMetrics(ctx, listeners.metrics, s.metrics, s.log)()
	if err := c.announce(ctx, s); err != nil {
		return err
	}
	return s.until(ctx)
}

// listeners are where a server listens.
type listeners struct {
	api, metrics net.Listener
	stopPprof    func()
}

// listen binds all addresses, or none.
func (c *Config) listen(ctx context.Context, log *slog.Logger) (l listeners, err error) {
	api, err := c.listenAPI(ctx)
	if err != nil {
		return l, err
	}
	l.api = c.limitConnections(api, log)
	if l.metrics, err = c.listenMetrics(ctx); err != nil {
		return l, errors.Join(err, l.api.Close())
	}
	if l.stopPprof, err = servePprof(ctx, c.Pprof, log); err != nil {
		return l, errors.Join(err, l.api.Close(), l.metrics.Close())
	}
	return l, nil
}

// listenAPI listens where systemd or --listen says.
func (c *Config) listenAPI(ctx context.Context) (net.Listener, error) {
	if listener, err := c.activated(); listener != nil || err != nil {
		return listener, err
	}
	if path, isSocket := SocketPath(c.Listen); isSocket {
		return c.socketFlags.listen(ctx, "--listen", path)
	}
	return listenAt(ctx, "--listen", c.Listen)
}

func (l listeners) close() {
	l.stopPprof()
	_ = errors.Join(l.metrics.Close(), l.api.Close()) // the servers have closed them already
}

// openToServe opens the database and makes sure that it has a first key.
func (c *Config) openToServe(ctx context.Context, log *slog.Logger) (*sqlstore.DB, error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: c.Database, Serve: true, Node: c.node(), MaxKeys: c.DefaultMaxKeys, Log: log})
	if err != nil {
		return nil, err
	}
	first := firstKey{db: db, policy: c.Policy, file: c.AdminKeyPath(), log: log, now: time.Now}
	if err := first.ensure(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	c.checkPepper(ctx, db, log)
	return db, nil
}

// newServer wires up a server. The caller sets its listener.
func (c *Config) newServer(
	db *sqlstore.DB, restored *restoreWatch, tracer *tracing.Tracer, log *slog.Logger, dropped func() uint64,
) (server, error) {
	pepper, err := c.pepper()
	if err != nil {
		return server{}, err
	}
	traced := tracer.Store(db, db.System())
	verifier := verify.New(keycache.New(traced, c.cacheOptions()), log, verify.Options{Budget: db.Budget(), Quotas: db, Reporter: db, Pepper: pepper})
	guard := c.webhookGuard()
	hooks := webhook.New(webhook.Options{
		Queue: db, Guard: guard, Log: log, Now: time.Now, Agent: "apikeyd/" + c.Build.Version,
	})
	m, err := c.newMetrics(metrics.Sources{
		Database: db, Verifier: verifier, Log: log, Dropped: dropped, Unconfirmed: restored.open.Load, Build: c.Build, Webhooks: hooks.Stats,
	})
	if err != nil {
		return server{}, err
	}
	config := handlers.Config{
		Store: traced, Verifier: verifier, Policy: c.Policy, Log: log, Now: time.Now,
		Observers: append(m.Observers(), tracer.Observers()...), RefusalLines: c.LogRefusals,
		TrustedProxies: c.trustedProxies(), TrustSocket: c.trustsSocket(), AuthFailures: c.authFailures(), Notices: restored.notices,
		CORSOrigins: c.corsOrigins(), PassPreflights: c.ForwardAuthPreflight == passPreflight,
		ScanningKeys:    c.signatures,
		CheckWebhookURL: guard.CheckURL,
		PublicURL:       c.publicURL(),
	}
	handler, err := handlers.New(config)
	if err != nil {
		return server{}, err
	}
	h := newHTTPServer(handler)
	h.ErrorLog, h.ConnState = c.serverLog(log), m.ConnState()
	return server{
		http: h, verifier: verifier, metrics: m, restored: restored, hooks: hooks, log: log,
		sessions: handlers.NewSessions(config),
		notices:  &notices{store: db, rules: c.rules(), out: log},
		retention: retention{
			store: db, events: c.AuditRetention, hours: c.UsageHours, days: c.UsageDays,
			every: retentionInterval, now: time.Now, out: log,
		},
	}, nil
}

// announce logs that the service is ready, and notifies systemd. Requests that arrive from now on
// wait in the listener.
func (c *Config) announce(ctx context.Context, s server) error {
	scheme := "https"
	if s.certificate == nil {
		scheme = "http"
		warnOfPlainText(s.listener, s.log)
	}
	base, _ := basepath.Parse(c.BasePath) // Validate has checked it
	at := func(path string) string { return urlOf(scheme, s.listener.Addr(), base+path) }
	addresses := []any{"url", at(""), "docs", at("/docs")}
	if c.Console {
		addresses = append(addresses, "console", at(console.Path))
	}
	s.log.Info("serving", append(addresses, "database", dbname.Show(c.Database), "version", c.Build.Version)...)
	return c.notify(ctx, "READY=1")
}

func (c *Config) cacheOptions() keycache.Options {
	if c.VerifyCache == 0 {
		return keycache.Options{Size: -1}
	}
	return keycache.Options{Size: c.VerifyCache}
}

// closeTracing sends the remaining spans. A collector that is too slow is no error.
func closeTracing(t *tracing.Tracer) error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
