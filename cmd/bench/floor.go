package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// floorCommand serves a minimal Echo service, the baseline. It is a separate process, so that its CPU
// time and memory can be measured.
type floorCommand struct{}

// floorAnswer is about as long as an answer about one key.
var floorAnswer = []byte(`{"answer":"` + strings.Repeat("x", 300-len(`{"answer":""}`)) + `"}`)

// Run implements the command.
func (floorCommand) Run(ctx context.Context) error { return serve(ctx, floorHandler()) }

// serve serves on a free port and prints the URL. It stops when standard input is closed, because its
// parent may end without stopping it.
func serve(ctx context.Context, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	fmt.Printf("serving url=http://%s\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func floorHandler() http.Handler {
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, floorAnswer)
	})
	return e
}
