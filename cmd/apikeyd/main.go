// Command apikeyd issues, lists, changes, rotates, revokes and verifies API keys over HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"apikeyd/apikey"
)

// The exit statuses of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// commands is the command line; kong reads its tags.
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Serve the API. On an empty database, make the first key."`
	Keys        keysCommands       `cmd:"" help:"Work on keys directly in the database, beside a server or not."`
	Audit       auditCommands      `cmd:"" help:"Verify and export the audit log, beside a server or not."`
	Conformance conformanceCommand `cmd:"" help:"Check a running deployment against its contract."`
	Version     versionCommand     `cmd:"" help:"Say which version this is."`
}

// streams are where a command writes: results to out, everything else to err.
type streams struct{ out, err io.Writer }

// databaseFlag is shared by every command that opens the database.
type databaseFlag struct {
	Database string `default:"apikeyd.db" env:"APIKEYD_DATABASE" placeholder:"FILE" help:"SQLite file (${default})."`
}

// Validate refuses what is no file before anybody prints it: a URL can hold a password.
func (f databaseFlag) Validate() error {
	switch {
	case f.Database == "":
		return errors.New("--database must name a file")
	case strings.Contains(f.Database, "://"):
		return errors.New("--database must name a SQLite file; this version takes no URL")
	}
	return nil
}

// policyFlags are shared by every command that makes keys.
type policyFlags struct {
	KeyPrefix      string        `default:"ak" env:"APIKEYD_KEY_PREFIX" help:"What new secrets begin with (${default})."`
	MaxKeyLifetime time.Duration `default:"0" env:"APIKEYD_MAX_KEY_LIFETIME" placeholder:"DURATION" help:"How long a new or changed key may live, counted from the request, such as 720h; 0 is without limit (0)."`
}

func (f policyFlags) policy() (apikey.Policy, error) {
	if err := apikey.CheckPrefix(f.KeyPrefix); err != nil {
		return apikey.Policy{}, fmt.Errorf("--key-prefix: %w", err)
	}
	if f.MaxKeyLifetime < 0 {
		return apikey.Policy{}, fmt.Errorf("--max-key-lifetime must not be negative")
	}
	return apikey.Policy{Prefix: f.KeyPrefix, MaxLifetime: f.MaxKeyLifetime}, nil
}

// run runs one command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	parser := kong.Must(&commands{},
		kong.Name("apikeyd"),
		kong.Description("A self-hosted API key service. Every flag with an environment variable can be set by it."),
		kong.Writers(stdout, stderr),
	)
	command, err := parser.Parse(args)
	if err != nil {
		parser.Errorf("%s", apikey.Redact(err.Error())) // a secret typed in the wrong place
		fmt.Fprintln(stderr, "Run apikeyd --help to see what it takes.")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(streams{stdout, stderr})
	if err := command.Run(); err != nil {
		parser.Errorf("%s", apikey.Redact(err.Error()))
		return exitFailure
	}
	return exitOK
}
