package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"apikeyd/conformance"
	"apikeyd/gen"
)

// conformanceCommand runs the conformance suite against a deployment.
type conformanceCommand struct {
	URL      string `required:"" env:"APIKEYD_URL" placeholder:"http://127.0.0.1:8080" help:"The deployment, as its callers reach it."`
	Key      string `xor:"key" required:"" env:"APIKEYD_KEY" placeholder:"SECRET" help:"A key with keys:read and keys:write; with keys:admin all checks run. The environment keeps it out of the process list."`
	KeyFile  string `xor:"key" required:"" type:"existingfile" placeholder:"FILE" help:"Read the key from a file, such as admin.key."`
	ReadOnly bool   `help:"Send GET requests only, so that nothing is created or changed."`
	Format   string `enum:"text,json,junit" default:"text" help:"text for people, json or junit for continuous integration (${default})."`
}

// Help teaches the command.
func (conformanceCommand) Help() string {
	return `Keys that it makes are named conformance-… and revoked at the end. It ends with 1 if there are findings.

Examples:

    apikeyd conformance --url http://127.0.0.1:8080 --key-file admin.key
    apikeyd conformance --url https://keys.example.com --key-file admin.key --read-only --format junit`
}

// errNotConforming is the exit status of a deployment with findings; they were told.
var errNotConforming = errors.New("the deployment does not conform to the contract")

// Run checks a deployment and reports to standard output.
func (c *conformanceCommand) Run(ctx context.Context, s streams) error {
	key, err := c.key()
	if err != nil {
		return err
	}
	printer := conformance.NewPrinter(s.out, isTerminal(s.out))
	options := conformance.Options{URL: c.URL, Key: key, Contract: gen.Contract, ReadOnly: c.ReadOnly}
	if c.Format == "text" {
		options.Progress = printer.Print
	}
	report, err := conformance.Run(ctx, options)
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

func (c *conformanceCommand) key() (string, error) {
	if c.KeyFile == "" {
		return c.Key, nil
	}
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return "", fmt.Errorf("--key-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// isTerminal reports whether colours can be shown (and are wanted: no-color.org).
func isTerminal(w io.Writer) bool {
	if _, set := os.LookupEnv("NO_COLOR"); set {
		return false
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
