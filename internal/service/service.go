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

	"apikeyd/internal/telemetry/metrics"
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
	hangups     <-chan os.Signal
	server      *http.Server
	verifier    *verify.Verifier
	metrics     *metrics.Metrics // nil if nobody is to have them
	retention   retention
	restored    *restoreWatch
	log         *slog.Logger
}

// until serves until ctx ends or serving fails.
func (s service) until(ctx context.Context) error {
	var background sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	background.Go(func() { s.verifier.Run(running) })
	background.Go(func() { tuneMemory(running) })
	background.Go(func() { s.retention.run(running) })
	background.Go(func() { s.restored.run(running) })
	serve := func() error { return s.server.Serve(s.listener) }
	if s.certificate != nil {
		s.server.TLSConfig = s.certificate.config()
		serve = func() error { return s.server.ServeTLS(s.listener, "", "") }
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
	// The signal has ended ctx, and what is left to do must not end with it.
	ctx = context.WithoutCancel(ctx)
	shutDown(ctx, s.server, s.log)
	stop()
	background.Wait()
	flushing, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err = errors.Join(err, s.verifier.Keys.Flush(flushing))
	s.log.Info("stopped")
	return err
}

// serveSignals makes SIGHUP a message, and a broken pipe an error of the write that met it:
// both would end the process. The log is one such pipe, and what reads it may end at any time.
func serveSignals() (hangups <-chan os.Signal) {
	signal.Ignore(syscall.SIGPIPE)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// reload follows the certificate's files until ctx ends, and looks at them at once on SIGHUP.
// There is nothing else to reload: settings are read at the start, and the log is no file.
func (s service) reload(ctx context.Context) {
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
