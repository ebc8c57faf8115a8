package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"apikeyd/handlers"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/tracing"
	"apikeyd/verify"
)

// The limits of the HTTP server. The largest answer, a page of 100 keys with all the
// scopes and metadata there may be, has 11 MB.
const (
	// One time for the header and the whole request: two would be set one after the other.
	readTimeout     = 10 * time.Second
	writeTimeout    = 15 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeaderBytes  = 32 << 10
	maxStreams      = 100              // of one HTTP/2 connection
	shutdownTimeout = 20 * time.Second // longer than any request may take
	flushTimeout    = 5 * time.Second
)

type serveCommand struct {
	databaseFlag
	policyFlags
	logFlags
	metricsFlag
	protectionFlags
	tlsFlags
	notifyFlag
	Listen         string        `default:"127.0.0.1:8080" env:"APIKEYD_LISTEN" placeholder:"ADDRESS" help:"Where to listen (${default})."`
	VerifyCache    int           `default:"100000" env:"APIKEYD_VERIFY_CACHE" placeholder:"KEYS" help:"How many verified keys to remember (${default}); 0 remembers none."`
	Node           string        `env:"APIKEYD_NODE" placeholder:"NAME" help:"With PostgreSQL: how the chain of audit events is called that this node writes (the name of the machine)."`
	AuditRetention time.Duration `default:"0" env:"APIKEYD_AUDIT_RETENTION" placeholder:"DURATION" help:"How long audit events are kept, such as 8760h, at least 24h; 0 is for ever (0)."`
	Pprof          string        `env:"APIKEYD_PPROF" placeholder:"ADDRESS" help:"Serve Go's profiles at this loopback address, such as 127.0.0.1:6060 (off)."`
	AdminKeyFile   string        `env:"APIKEYD_ADMIN_KEY_FILE" placeholder:"FILE" help:"Where the first key is written (admin.key beside the database, or with PostgreSQL in the current folder)."`
}

// Help teaches the command.
func (serveCommand) Help() string {
	return `Examples:

    # On http://127.0.0.1:8080, with apikeyd.db and admin.key in this folder
    apikeyd serve

    # Elsewhere, and no key lives longer than 90 days
    apikeyd serve --listen 127.0.0.1:9000 --database /var/lib/apikeyd/keys.db --max-key-lifetime 2160h`
}

// Run serves until ctx ends, then stops accepting, finishes what is in flight,
// writes what is in memory and closes the store.
func (c *serveCommand) Run(ctx context.Context, s streams) (err error) {
	log := slog.New(c.logHandler(s.err))
	policy, err := c.policy()
	if err != nil {
		return err
	}
	// Before the database: an address that is taken must leave nothing behind.
	certificate, err := c.load(log, time.Now)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	listener = c.limitConnections(listener, log)
	defer listener.Close()
	stopPprof, err := servePprof(ctx, c.Pprof, log)
	if err != nil {
		return err
	}
	defer stopPprof()
	metricsListener, err := c.listenMetrics(ctx)
	if err != nil {
		return err
	}
	defer metricsListener.Close()
	tracer, err := tracing.Start(ctx, os.LookupEnv, log, version())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTracing(tracer)) }()
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: c.Database, Serve: true, Node: c.node(), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	first := firstKey{store: db, policy: policy, file: c.adminKeyFile(), log: log, now: time.Now}
	if err := first.ensure(ctx); err != nil {
		return err
	}
	log = slog.New(tracer.LogHandler(log.Handler()))
	verifier := verify.New(tracer.Store(db), log, c.verifyOptions(db.Budget()))
	m, err := c.newMetrics(db, verifier, log)
	if err != nil {
		return err
	}
	handler, err := handlers.New(handlers.Config{
		Store: tracer.Store(db), Verifier: verifier, Policy: policy, Log: log, Now: time.Now,
		Observers: append(m.Observers(), tracer.Observers()...), RefusalLines: c.LogRefusals,
		TrustedProxies: c.trustedProxies(), AuthFailures: c.authFailures(),
	})
	if err != nil {
		return err
	}
	defer serveMetrics(ctx, metricsListener, m, log)()
	server := newServer(handler)
	server.ErrorLog, server.ConnState = c.serverLog(log), m.ConnState()
	scheme := "https://"
	if certificate == nil {
		scheme = "http://"
		warnOfPlainText(listener, log)
	}
	log.Info("serving", "url", scheme+listener.Addr().String(), "database", sqlstore.Name(c.Database), "version", version())
	if err := c.notify(ctx, "READY=1"); err != nil {
		return err
	}
	return service{
		listener: listener, certificate: certificate, server: server, verifier: verifier, log: log,
		retention: retention{log: db, keep: c.AuditRetention, every: retentionInterval, now: time.Now, out: log},
	}.until(ctx)
}

func (c *serveCommand) verifyOptions(budget store.Budget) verify.Options {
	if c.VerifyCache == 0 {
		return verify.Options{CacheSize: -1, Budget: budget}
	}
	return verify.Options{CacheSize: c.VerifyCache, Budget: budget}
}

// Validate refuses a number that is no good before anything is opened.
func (c *serveCommand) Validate() error {
	if c.VerifyCache < 0 {
		return errors.New("--verify-cache must not be negative")
	}
	if c.AuditRetention != 0 && c.AuditRetention < minRetention {
		return fmt.Errorf("--audit-retention must be 0, which is for ever, or at least %s", minRetention)
	}
	return errors.Join(c.databaseFlag.Validate(), c.protectionFlags.Validate(), c.tlsFlags.Validate(), c.checkLog(),
		checkLoopback("--pprof", c.Pprof))
}

func (c *serveCommand) adminKeyFile() string {
	if c.AdminKeyFile != "" {
		return c.AdminKeyFile
	}
	if c.isPostgres() {
		return "admin.key" // in the current folder
	}
	return filepath.Join(filepath.Dir(c.Database), "admin.key")
}

// node is the name under which this process writes to PostgreSQL.
func (c *serveCommand) node() string {
	if c.Node != "" {
		return c.Node
	}
	host, err := os.Hostname()
	if err != nil {
		return "apikeyd"
	}
	return host
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerStream:     64 << 10, // a whole body
			MaxReceiveBufferPerConnection: 256 << 10,
			WriteByteTimeout:              writeTimeout,
		},
	}
}

// service is what serves, ready to begin.
type service struct {
	listener    net.Listener
	certificate *certificate // nil serves plain text
	server      *http.Server
	verifier    *verify.Verifier
	retention   retention
	log         *slog.Logger
}

// until serves until ctx ends or serving fails.
func (s service) until(ctx context.Context) error {
	var background sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	background.Go(func() { s.verifier.Run(running) })
	background.Go(func() { tuneMemory(running) })
	background.Go(func() { s.retention.run(running) })
	serve := func() error { return s.server.Serve(s.listener) }
	if s.certificate != nil {
		s.server.TLSConfig = s.certificate.config()
		serve = func() error { return s.server.ServeTLS(s.listener, "", "") }
		background.Go(func() { s.certificate.follow(running) })
	}
	failed := make(chan error, 1)
	background.Go(func() { failed <- serve() })

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.log.Info("stopping")
	}
	// The signal has ended ctx, and what is left to do must not end with it.
	ctx = context.WithoutCancel(ctx)
	shutDown(ctx, s.server, s.log)
	stop()
	background.Wait()
	flushing, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err = errors.Join(err, s.verifier.Flush(flushing))
	s.log.Info("stopped")
	return err
}

// shutDown finishes what is in flight, and hangs up on whoever takes too long to read
// an answer.
func shutDown(ctx context.Context, server *http.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("hanging up on clients that do not finish", "error", err)
		_ = server.Close() // its connections end with the process anyway
	}
}
