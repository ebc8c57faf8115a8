package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"apikeyd/handlers"
	"apikeyd/internal/telemetry/metrics"
	"apikeyd/internal/webhook"
	"apikeyd/verify"
)

// The limits of the HTTP server. The largest response, 100 keys with the maximum of scopes and
// metadata, has 11 MB.
const (
	// One limit for the header and the whole request: two would add up.
	readTimeout     = 10 * time.Second
	writeTimeout    = 15 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeaderBytes  = 32 << 10
	maxStreams      = 100              // of one HTTP/2 connection
	shutdownTimeout = 20 * time.Second // longer than any request may take
	flushTimeout    = 5 * time.Second
)

func newHTTPServer(handler http.Handler) *http.Server {
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

// server is ready to run.
type server struct {
	listener    net.Listener
	certificate *certificate // nil serves plain text
	hangups     <-chan os.Signal
	http        *http.Server
	verifier    *verify.Verifier
	metrics     *metrics.Metrics // nil if metrics are off
	retention   retention
	restored    *restoreWatch
	hooks       *webhook.Sender
	sessions    *handlers.Sessions
	notices     *notices
	log         *slog.Logger
}

// until serves until ctx ends or serving fails.
func (s server) until(ctx context.Context) error {
	var background sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	background.Go(func() { s.verifier.Run(running) })
	background.Go(func() { tuneMemory(running) })
	background.Go(func() { s.retention.run(running) })
	background.Go(func() { s.restored.run(running) })
	background.Go(func() { s.hooks.Run(running) })
	background.Go(func() { s.notices.run(running) })
	serve := func() error { return s.http.Serve(s.listener) }
	if s.certificate != nil {
		s.http.TLSConfig = s.certificate.config()
		serve = func() error { return s.http.ServeTLS(s.listener, "", "") }
	}
	background.Go(func() { s.reload(running) })
	failed := make(chan error, 1)
	background.Go(func() { failed <- serve() })

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.log.Info("stopping")
	}
	// The signal has ended ctx; shutting down must go on.
	ctx = context.WithoutCancel(ctx)
	shutDown(ctx, s.http, s.log)
	stop()
	background.Wait()
	flushing, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err = errors.Join(err, s.verifier.Keys.Flush(flushing), s.verifier.Close(flushing))
	s.log.Info("stopped")
	return err
}

// serveSignals delivers SIGHUP on a channel, and turns a broken pipe into a write error. By default
// both would end the process, and the log may be a pipe whose reader can exit at any time.
func serveSignals() (hangups <-chan os.Signal) {
	signal.Ignore(syscall.SIGPIPE)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// reload checks the certificate's files every second and on SIGHUP, until ctx ends. Nothing else
// can be reloaded: settings are read at the start, and the log is not a file.
func (s server) reload(ctx context.Context) {
	var tick <-chan time.Time
	look := func() {}
	if s.certificate != nil {
		ticker := time.NewTicker(certificateInterval)
		defer ticker.Stop()
		tick, look = ticker.C, s.certificate.look
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hangups:
			s.log.Info("SIGHUP: reading the certificate again, if there is one; other settings need a restart")
		case <-tick:
		}
		look()
	}
}

// shutDown finishes requests in flight, and closes the connections of clients that take too long.
func shutDown(ctx context.Context, server *http.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("hanging up on clients that do not finish", "error", err)
		_ = server.Close() // its connections end with the process anyway
	}
}
