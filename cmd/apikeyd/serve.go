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
	shutdownTimeout = 20 * time.Second // longer than any request may take
	flushTimeout    = 5 * time.Second
)

type serveCommand struct {
	databaseFlag
	policyFlags
	logFlags
	metricsFlag
	Listen       string `default:"127.0.0.1:8080" env:"APIKEYD_LISTEN" placeholder:"ADDRESS" help:"Where to listen (${default})."`
	VerifyCache  int    `default:"100000" env:"APIKEYD_VERIFY_CACHE" placeholder:"KEYS" help:"How many verified keys to remember (${default}); 0 remembers none."`
	Pprof        string `env:"APIKEYD_PPROF" placeholder:"ADDRESS" help:"Serve Go's profiles at this loopback address, such as 127.0.0.1:6060 (off)."`
	AdminKeyFile string `env:"APIKEYD_ADMIN_KEY_FILE" placeholder:"FILE" help:"Where the first key is written (admin.key beside the database)."`
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
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	stopPprof, err := servePprof(ctx, c.Pprof)
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
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: c.Database, Serve: true, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	first := firstKey{store: db, policy: policy, file: c.adminKeyFile(), log: log, now: time.Now}
	if err := first.ensure(ctx); err != nil {
		return err
	}
	log = slog.New(tracer.LogHandler(log.Handler()))
	verifier := verify.New(tracer.Store(db), log, c.verifyOptions())
	m, err := c.newMetrics(db, verifier, log)
	if err != nil {
		return err
	}
	handler, err := handlers.New(handlers.Config{
		Store: tracer.Store(db), Verifier: verifier, Policy: policy, Log: log, Now: time.Now,
		Observers: append(m.Observers(), tracer.Observers()...), RefusalLines: c.LogRefusals,
	})
	if err != nil {
		return err
	}
	defer serveMetrics(ctx, metricsListener, m, log)()
	server := newServer(handler)
	server.ErrorLog, server.ConnState = c.serverLog(log), m.ConnState()
	log.Info("serving", "url", "http://"+listener.Addr().String(), "database", c.Database, "version", version())
	return serveUntil(ctx, listener, server, verifier, log)
}

func (c *serveCommand) verifyOptions() verify.Options {
	if c.VerifyCache == 0 {
		return verify.Options{CacheSize: -1}
	}
	return verify.Options{CacheSize: c.VerifyCache}
}

// Validate refuses a negative number before anything is opened.
func (c *serveCommand) Validate() error {
	if c.VerifyCache < 0 {
		return errors.New("--verify-cache must not be negative")
	}
	return errors.Join(c.databaseFlag.Validate(), c.checkLog(), checkLoopback("--pprof", c.Pprof))
}

func (c *serveCommand) adminKeyFile() string {
	if c.AdminKeyFile != "" {
		return c.AdminKeyFile
	}
	return filepath.Join(filepath.Dir(c.Database), "admin.key")
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

func serveUntil(
	ctx context.Context, listener net.Listener, server *http.Server, verifier *verify.Verifier, log *slog.Logger,
) error {
	var background sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	background.Go(func() { verifier.Run(running) })
	background.Go(func() { tuneMemory(running) })
	failed := make(chan error, 1)
	background.Go(func() { failed <- server.Serve(listener) })

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info("stopping")
	}
	// The signal has ended ctx, and what is left to do must not end with it.
	ctx = context.WithoutCancel(ctx)
	shutDown(ctx, server, log)
	stop()
	background.Wait()
	flushing, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err = errors.Join(err, verifier.Flush(flushing))
	log.Info("stopped")
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
