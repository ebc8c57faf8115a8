package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"apikeyd/internal/service"
)

// healthcheckCommand asks the server on this machine whether it is ready. It reads the environment
// variables of serve.
type healthcheckCommand struct {
	Listen  string        `default:"127.0.0.1:8080" env:"APIKEYD_LISTEN" placeholder:"ADDRESS" help:"Where serve listens (${default})."`
	TLSCert string        `name:"tls-cert" env:"APIKEYD_TLS_CERT" placeholder:"FILE" help:"The server's certificate, if it has one, to use TLS (none)."`
	Timeout time.Duration `default:"3s" placeholder:"DURATION" help:"How long to wait for the answer (${default})."`
}

// Help is shown by --help.
func (healthcheckCommand) Help() string {
	return `Examples:
  apikeyd healthcheck
  apikeyd healthcheck --listen 127.0.0.1:9000`
}

// Validate refuses addresses that serve refuses, and times that are too short.
func (c *healthcheckCommand) Validate() error {
	if c.Timeout <= 0 {
		return errors.New("--timeout must be positive")
	}
	return service.CheckListen("--listen", c.Listen)
}

// Run succeeds if the server can read its database.
func (c *healthcheckCommand) Run(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := service.Ready(ctx, c.Listen, c.TLSCert != ""); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "ready")
	return err
}
