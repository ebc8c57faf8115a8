package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"apikeyd/conformance"
	"apikeyd/gen"
)

// conformanceCommand runs the conformance suite against a deployment.
type conformanceCommand struct {
	URL      string      `required:"" env:"APIKEYD_URL" placeholder:"http://127.0.0.1:8080" help:"The deployment's URL, as its callers use it."`
	Own      ownKeyFlags `embed:""`
	ReadOnly bool        `help:"Send GET requests only, so that nothing is created or changed."`
	Format   string      `enum:"text,json,junit" default:"text" help:"text for people, json or junit for continuous integration (${default})."`
}

// Help explains the command.
func (conformanceCommand) Help() string {
	return `Takes a key with keys:read and keys:write, as apikeyd keys does; with keys:admin all checks run. Keys that it creates are named conformance-… and revoked at the end. It exits with 1 if there are findings.

Examples:

    apikeyd conformance --url http://127.0.0.1:8080 --key-file admin.key
    apikeyd conformance --url https://keys.example.com --key-file admin.key --read-only --format junit`
}

// AfterApply refuses a secret as an argument.
func (c *conformanceCommand) AfterApply(ctx *kong.Context) error {
	return errors.Join(c.Own.check(typedFlags(ctx)), checkURL(c.URL))
}

// errNotConforming ends the command after it has reported findings.
var errNotConforming = errors.New("the deployment does not conform to the contract")

// Run checks a deployment and reports to standard output.
func (c *conformanceCommand) Run(ctx context.Context, s streams) error {
	if err := s.mustBeRead(); err != nil {
		return err
	}
	key, err := c.Own.secret(ctx, s, "Your key for "+printable(c.URL)+": ")
	if err != nil {
		return err
	}
	printer := conformance.NewPrinter(s.out, hasColor(s.out))
	options := conformance.Options{URL: c.URL, Key: key.Reveal(), Contract: gen.Contract, ReadOnly: c.ReadOnly}
	if c.Format == "text" {
		options.Progress = printer.Print
	}
	report, err := conformance.Run(ctx, options)
	if speaksNoHTTP(err) {
		return fmt.Errorf("%w%s", err, askTLS(c.URL))
	}
	if err != nil {
		return err
	}
	switch c.Format {
	case "json":
		err = report.WriteJSON(s.out)
	case "junit":
		err = report.WriteJUnit(s.out)
	default:
		printer.Summarize(report)
	}
	if err == nil && report.Count(conformance.Failed) > 0 {
		return errNotConforming
	}
	return err
}
