package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/importfile"
)

// importCommand imports keys of another service.
type importCommand struct {
	File        string            `arg:"" help:"The keys: CSV, JSON Lines or a JSON array; - is standard input."`
	From        string            `default:"csv" enum:"csv,unkey,better-auth,litellm,kong" help:"Who left the file: csv (our own columns, in CSV or JSON), unkey, better-auth, litellm or kong (${default})."`
	Owner       *string           `placeholder:"OWNER" help:"The owner of keys whose row names none (that of your own key)."`
	ExpiresAt   *apikey.Timestamp `placeholder:"TIME" help:"The end of keys whose row has none."`
	DryRun      bool              `help:"Import nothing, and say what would become of each row."`
	Report      string            `placeholder:"FILE" help:"Write what became of each row into this new file, one JSON object per line."`
	policyFlags `group:"With --database:"`
	target
}

// Help explains the command.
func (importCommand) Help() string {
	return `The secrets keep working: verify, introspection and forward-auth accept them at once, and a rotation replaces them. A secret is imported once, so an interrupted import is continued by running the same command again. On a server this needs keys:admin.

Our own columns are name, owner, expires_at, scopes, metadata, rate_limit, quota, allowed_cidrs, enabled, and either secret, or hash and scheme (sha256, sha512, hmac-sha256). docs/import.md describes the other files, and what cannot be taken over.

Examples:

    # What would become of each row?
    apikeyd import keys.csv --dry-run --report report.jsonl

    # The table of Better Auth's plugin, on a server; keys without an end get one
    apikeyd import apikey.jsonl --from better-auth --expires-at 2028-01-01T00:00:00Z --url https://keys.example.com

    # Kong's credentials, through a pipe
    curl -sS http://127.0.0.1:8001/key-auths | apikeyd import - --from kong --expires-at 2028-01-01T00:00:00Z`
}

// shownFailures is how many rows that failed are printed.
const shownFailures = 10

// importRun is one run of the command.
type importRun struct {
	importfile.Run
	err    io.Writer
	report *json.Encoder // nil without one

	outcomes map[client.ImportOutcome]int
	failures int
}

// Validate refuses a file and a key that both come from standard input.
func (c *importCommand) Validate() error {
	if c.File == stdinName && c.Own.KeyFile == stdinName {
		return errors.New("the keys and --key-file cannot both be standard input")
	}
	return nil
}

// Run imports the file.
func (c *importCommand) Run(ctx context.Context, s streams) (err error) {
	if c.newKeys, err = c.policy(); err != nil {
		return err
	}
	from, size, closeFile, err := c.open(s)
	if err != nil {
		return err
	}
	defer closeFile()
	rows, err := importfile.Read(from)
	if err != nil {
		return err
	}
	run := &importRun{err: s.err, outcomes: make(map[client.ImportOutcome]int)}
	run.Run = importfile.Run{From: c.From, DryRun: c.DryRun, Now: time.Now(), NoEnd: "name an end for such rows with --expires-at", Done: run.done}
	if c.Owner != nil {
		run.Owner = *c.Owner
	}
	if c.ExpiresAt != nil {
		run.ExpiresAt = c.ExpiresAt.Time()
	}
	if c.Report != "" {
		file, openErr := os.OpenFile(c.Report, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		run.report = json.NewEncoder(file)
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		run.Client = keys.client
		bar := newProgressBar(s.err)
		err := run.All(ctx, rows, func() { bar.part("importing", rows.Offset(), size) })
		bar.clear()
		run.summary(s.out)
		switch {
		case err != nil && ctx.Err() != nil:
			fmt.Fprintln(s.err, "The import is incomplete. Run the same command again to continue.")
			return err
		case err != nil:
			return keys.explain(err)
		case run.failures > 0:
			return errAlreadyReported
		}
		return nil
	})
}

// open opens the file, and returns its size, which is 0 for standard input.
func (c *importCommand) open(s streams) (from io.Reader, size int64, done func(), err error) {
	if c.File == stdinName {
		return s.in.lines, 0, func() {}, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, 0, nil, err
	}
	if info, err := file.Stat(); err == nil {
		size = info.Size()
	}
	return file, size, func() { _ = file.Close() }, nil // it was only read
}

// done takes note of what became of a row.
func (r *importRun) done(row client.ImportedRow) error {
	r.outcomes[row.Outcome]++
	if row.Outcome != client.ImportCreated && row.Outcome != client.ImportExists {
		if r.failures++; r.failures <= shownFailures {
			text := row.Message
			if !strings.HasPrefix(text, row.Field) {
				text = row.Field + " " + text
			}
			fmt.Fprintf(r.err, "row %d: %s: %s\n", row.Row, row.Outcome, printable(text))
		}
	}
	if r.report == nil {
		return nil
	}
	return r.report.Encode(row)
}

func (r *importRun) summary(out io.Writer) {
	if r.failures > shownFailures {
		fmt.Fprintf(r.err, "and %d more rows\n", r.failures-shownFailures)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Lost)) {
		fmt.Fprintf(r.err, "NOTE: %s cannot be taken over; it is set in %s.\n", name, count(r.Lost[name], "row"))
	}
	created := "created"
	if r.DryRun {
		created = "would be created"
	}
	fmt.Fprintf(out, "%d %s, %d imported before, %d in conflict, %d invalid\n", r.outcomes[client.ImportCreated], created,
		r.outcomes[client.ImportExists], r.outcomes[client.ImportConflict], r.outcomes[client.ImportInvalid])
}
