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
	Plain plainCommand `cmd:"" hidden:"" help:"Serve what people would write instead."`
}

func bench(args []string) error {
	parser := kong.Must(&commands{}, kong.Name("bench"),
		kong.Vars{"rows": strings.Join(rowNames(), ", ")},
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
	Seconds     int      `default:"2" help:"How long each load lasts (${default})."`
	Connections []int    `default:"1,64,256" help:"How many connections wrk keeps open (${default}). Only the row of targets has all; other numbers of keys have 64, or the last."`
	Keys        []int    `default:"1000,1000000,10000000" help:"How many keys are stored (${default}). Targets are for 1000000, or the next below."`
	Engines     []string `default:"sqlite,plain,postgres" help:"What to measure (${default}): apikeyd on either database, and a plain service on SQLite."`
	Rows        []string `help:"Which rows to measure, of ${rows} (all)."`
	Quiet       int      `default:"100" placeholder:"PERCENT" help:"Repeat a pair if other processes took more of the CPU time, several times if necessary (100: never)."`
	Program     string   `default:"bin/apikeyd" help:"The service (${default})."`
	ServeFlag   []string `sep:"none" placeholder:"--FLAG=VALUE" help:"A further flag for apikeyd serve; may be repeated."`
	Seeds       string   `placeholder:"FOLDER" help:"Folder that keeps the databases of many keys for the next run (not kept)."`
	Folder      string   `default:"bin" help:"Folder for the databases under load, on the disk to measure; emptied at the end (${default})."`
	Output      string   `placeholder:"FILE" help:"File that gets the report, between its markers if it has them (standard output)."`
}

// Validate rejects options that cannot be measured.
func (c *runCommand) Validate() error {
	for _, n := range slices.Concat([]int{c.Pairs, c.Seconds, c.Quiet}, c.Connections, c.Keys) {
		if n < 1 {
			return errors.New("all numbers must be at least 1")
		}
	}
	for _, name := range c.Rows {
		if !slices.Contains(rowNames(), name) {
			return fmt.Errorf("--rows: there is no row %s", name)
		}
	}
	for _, name := range c.Engines {
		if !slices.Contains(engines, name) {
			return fmt.Errorf("--engines: there is no engine %s", name)
		}
	}
	// A seed needs the key that reads and one to read.
	if slices.Min(c.Keys) < 2 {
		return errors.New("--keys must be at least 2")
	}
	return nil
}

func rowNames() (names []string) {
	for _, r := range rows {
		names = append(names, r.name)
	}
	return names
}

func (c *runCommand) rows() []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		return len(c.Rows) > 0 && !slices.Contains(c.Rows, r.name) || !slices.Contains(c.Engines, r.engine)
	})
}

const (
	// targetKeys and targetConnections are what targets are about.
	targetKeys        = 1_000_000
	targetConnections = 64
)

// mainKeys is the number of keys that is measured in full: the targets', or the next below, or the lowest.
func (c *runCommand) mainKeys() int {
	keys := slices.Min(c.Keys)
	for _, n := range c.Keys {
		if n <= targetKeys {
			keys = max(keys, n)
		}
	}
	return keys
}

// mainConnections is the number of connections that is measured with any number of keys.
func (c *runCommand) mainConnections() int {
	if slices.Contains(c.Connections, targetConnections) {
		return targetConnections
	}
	return c.Connections[len(c.Connections)-1]
}

// connections are those that are measured with a number of keys.
func (c *runCommand) connections(keys int) []int {
	if keys == c.mainKeys() {
		return c.Connections
	}
	return []int{c.mainConnections()}
}

// measures reports whether an engine is measured with a number of keys, in any row.
func (c *runCommand) measures(engine string, keys int) bool {
	if engine != sqlite && keys != c.mainKeys() {
		return false
	}
	return slices.ContainsFunc(c.rows(), func(r row) bool { return r.engine == engine })
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
	if err := c.fitDisk(rep); err != nil {
		return err
	}
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
