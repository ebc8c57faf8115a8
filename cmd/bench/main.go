// Command bench measures bin/apikeyd against a minimal service on the same HTTP framework and writes
// the report in docs/performance.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"apikeyd/apikey"
)

func main() {
	if err := bench(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", apikey.Redact(err.Error()))
		os.Exit(1)
	}
}

// commands is the command line; kong reads its tags.
type commands struct {
	Run   runCommand   `cmd:"" default:"withargs" help:"Measure and report."`
	Floor floorCommand `cmd:"" hidden:"" help:"Serve the baseline."`
}

func bench(args []string) error {
	parser := kong.Must(&commands{}, kong.Name("bench"),
		kong.Description("Measure bin/apikeyd under load from wrk. Nothing else should run at the same time."))
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run()
}

type runCommand struct {
	Pairs       int      `default:"5" help:"How many pairs of floor and operation each figure comes from (${default})."`
	Seconds     int      `default:"4" help:"How long each load lasts (${default})."`
	Connections []int    `default:"1,64,256" help:"How many connections wrk keeps open (${default})."`
	Keys        []int    `default:"1000,1000000" help:"How many keys are stored (${default})."`
	Rows        []string `help:"Which rows to measure, of forward-auth, verify-one, verify-many, verify-miss, get, list, list-all and create (all)."`
	Cache       int      `default:"100000" help:"How many keys the service's cache holds (${default})."`
	Quiet       int      `default:"100" placeholder:"PERCENT" help:"Repeat a pair if other processes took more of the CPU time, several times if necessary (100: never)."`
	Program     string   `default:"bin/apikeyd" help:"The service (${default})."`
	ServeFlag   []string `sep:"none" placeholder:"--FLAG=VALUE" help:"A further flag for apikeyd serve; may be repeated."`
	Seeds       string   `placeholder:"FOLDER" help:"Folder that keeps the databases of many keys for the next run (not kept)."`
	Folder      string   `default:"bin" help:"Folder for the databases under load, on the disk to measure; emptied at the end (${default})."`
	Output      string   `placeholder:"FILE" help:"File that gets the report, between its markers if it has them (standard output)."`
}

// Validate rejects options that cannot be measured.
func (c *runCommand) Validate() error {
	for _, n := range slices.Concat([]int{c.Pairs, c.Seconds, c.Cache, c.Quiet}, c.Connections, c.Keys) {
		if n < 1 {
			return errors.New("all numbers must be at least 1")
		}
	}
	for _, name := range c.Rows {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return fmt.Errorf("--rows: there is no row %s", name)
		}
	}
	// A seed needs the key that reads and one to read.
	if slices.Min(c.Keys) < 2 {
		return errors.New("--keys must be at least 2")
	}
	return nil
}

func (c *runCommand) rows() []row {
	if len(c.Rows) == 0 {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !slices.Contains(c.Rows, r.name) })
}

// Run measures in a temporary folder and removes it.
func (c *runCommand) Run(ctx context.Context) (err error) {
	rep, err := newReport(ctx, c)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp(c.Folder, "bench-*") // mode 0700, because it contains secrets
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	r := run{runCommand: *c, folder: folder, out: os.Stderr}
	if err := r.all(ctx, rep); err != nil {
		fmt.Fprintf(os.Stderr, "Measured before the failure:\n\n%s\n", rep)
		return err
	}
	if c.Output == "" {
		_, err = io.WriteString(os.Stdout, rep.String())
		return err
	}
	return writeReport(c.Output, rep.String())
}

// answers makes one request with a caller's key.
func answers(ctx context.Context, url, caller string) error {
	secret, err := os.ReadFile(caller)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("X-Api-Key", strings.TrimSpace(string(secret)))
	request.Close = true // the server is stopped next
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}
