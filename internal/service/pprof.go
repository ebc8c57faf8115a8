package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"
)

// checkLoopback refuses an address that others could reach: a profile tells what a
// program does, and takes its time.
func checkLoopback(flag, address string) error {
	if address == "" {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("%s must be a loopback address and a port, such as 127.0.0.1:6060", flag)
	}
	return nil
}

// servePprof serves Go's profiles at an address until stop is called, and returns once it
// listens. An empty address serves nothing.
func servePprof(ctx context.Context, address string, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := listenAt(ctx, "--pprof", address)
	if err != nil {
		return nil, err
	}
	log.Info("serving profiles", "url", urlOf("http", listener.Addr(), "/debug/pprof/"))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	// No limit on writing: a profile takes as long as it is asked to.
	return serveBeside(listener, &http.Server{
		Handler: mux, ReadHeaderTimeout: readTimeout, IdleTimeout: idleTimeout,
	}), nil
}

// connectionsBeside is how many connections each server beside the service keeps open: those
// of the service must not run out of descriptors for it.
const connectionsBeside = 16

// serveBeside runs a server beside the service until stop is called.
func serveBeside(listener net.Listener, server *http.Server) (stop func()) {
	listener = netutil.LimitListener(listener, connectionsBeside)
	ended := make(chan struct{})
	go func() {
		_ = server.Serve(listener) // until it is closed
		close(ended)
	}()
	return func() {
		closing, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = errors.Join(server.Shutdown(closing), server.Close()) // nothing is lost with it
		<-ended
	}
}
