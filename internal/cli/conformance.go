package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/alecthomas/kong"

	"apikeyd/conformance"
	"apikeyd/gen"
)

// conformanceCommand runs the conformance suite against a deployment.
type conformanceCommand struct {
	URL      string      `env:"APIKEYD_URL" placeholder:"http://127.0.0.1:8080" help:"The deployment's URL, as its callers use it, or unix:PATH (required, except with --list)."`
	Own      ownKeyFlags `embed:""`
	ReadOnly bool        `help:"Send GET requests only, so that nothing is created or changed."`
	Only     []string    `sep:"none" placeholder:"PATTERN" help:"Run only the checks with such names; may be repeated."`
	Skip     []string    `sep:"none" placeholder:"PATTERN" help:"Report these checks as skipped; may be repeated."`
	Expect   []string    `sep:"none" placeholder:"PATTERN" help:"Report what these checks find as expected; it is an error if they find nothing. May be repeated."`
	List     bool        `help:"Print each check's name and what it checks, and run none."`
	Format   string      `enum:"text,json,junit" default:"text" help:"text for people, json or junit for continuous integration (${default})."`
}

// Help explains the command.
func (conformanceCommand) Help() string {
	return `Takes a key with keys:read and keys:write, as apikeyd keys does; with keys:admin all checks run. Keys that it creates are named conformance-… and revoked at the end. It exits with 1 if there are findings.

First it compares the server's own contract with the one that it knows, and runs no more if they differ.

Checks are named GROUP/NAME. In a PATTERN, * is any part of a name; without a slash it names a whole group, or a check in any group. A check that fails with --expect does not count as a failure; one that passes does.

Examples:

    apikeyd conformance --url http://127.0.0.1:8080 --key-file admin.key
    apikeyd conformance --url https://keys.example.com --key-file admin.key --read-only --format junit

    # What there is to check
    apikeyd conformance --list --only rotation

    # Behind a proxy that decodes paths
    apikeyd conformance --url https://keys.example.com --key-file admin.key \
        --skip throttling --expect deployment/paths --expect names/exact`
}

// AfterApply refuses a secret as an argument, and patterns that match nothing.
func (c *conformanceCommand) AfterApply(ctx *kong.Context) error {
	for flag, patterns := range map[string][]string{"only": c.Only, "skip": c.Skip, "expect": c.Expect} {
		for _, pattern := range patterns {
			if err := conformance.CheckPattern(pattern); err != nil {
				return fmt.Errorf("--%s: %w", flag, err)
			}
		}
	}
	switch {
	case c.List && c.Format == "junit":
		return errors.New("--list and --format=junit can't be used together")
	case c.List:
		return nil
	case c.URL == "":
		return errors.New("missing flags: --url=http://127.0.0.1:8080")
	}
	return errors.Join(c.Own.check(typedFlags(ctx)), checkURL(c.URL))
}

// errNotConforming ends the command after it has reported findings.
var errNotConforming = errors.New("the deployment does not conform to the contract")

// Run checks a deployment and reports to standard output.
func (c *conformanceCommand) Run(ctx context.Context, s streams) error {
	selection := conformance.Selection{Only: c.Only, Skip: c.Skip, Expect: c.Expect}
	if c.List {
		return c.list(s, selection.Checks())
	}
	if err := s.mustBeRead(); err != nil {
		return err
	}
	key, err := c.Own.secret(ctx, s, "Your key for "+printable(c.URL)+": ")
	if err != nil {
		return err
	}
	printer := conformance.NewPrinter(s.out, hasColor(s.out))
	_, _, isSocket := socketURL(c.URL)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	options := conformance.Options{
		URL: httpURL(c.URL, transport), Client: &http.Client{Transport: transport},
		Key: key.Reveal(), Contract: gen.Contract, ReadOnly: c.ReadOnly, NoAddress: isSocket, Selection: selection,
	}
	if c.Format == "text" {
		options.Progress = printer.Print
	}
	report, err := conformance.Run(ctx, options)
	if errors.Is(err, conformance.ErrUnusable) {
		return errors.New(explainConnection(c.URL, err))
	}
	if err != nil {
		return err
	}
	report.URL = c.URL
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

// list prints the checks that would run.
func (c *conformanceCommand) list(s streams, checks []conformance.Check) error {
	if c.Format == "json" {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(checks)
	}
	table := newTable(s.out)
	for _, check := range checks {
		fmt.Fprintf(table, "%s\t%s\n", check.Name, check.About)
	}
	return table.Flush()
}
