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

// checkLoopback refuses addresses that other machines can reach: profiles reveal what a program does
// and cost CPU time.
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

// servePprof serves Go's profiles until stop is called. It returns once it listens. An empty address
// turns it off.
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
	// No write timeout: the client chooses how long a profile takes.
	return serveBeside(listener, &http.Server{
		Handler: mux, ReadHeaderTimeout: readTimeout, IdleTimeout: idleTimeout,
	}), nil
}

// connectionsBeside limits the connections of each auxiliary server, so that the service never runs
// out of file descriptors because of them.
const connectionsBeside = 16

// serveBeside runs an auxiliary server until stop is called.
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
		_ = errors.Join(server.Shutdown(closing), server.Close()) // it has nothing to lose
		<-ended
	}
}
