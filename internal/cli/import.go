package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
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

const (
	// importBody bounds the rows of one call, in bytes: the API takes 64 KiB.
	importBody = 60_000
	// shownFailures is how many rows that failed are printed.
	shownFailures = 10
)

// numberedRow is a row that waits to be sent.
type numberedRow struct {
	number int
	key    client.ImportedKey
}

// importRun is one run of the command.
type importRun struct {
	*importCommand
	profile importProfile
	client  *client.Client
	now     time.Time
	err     io.Writer
	report  *json.Encoder // nil without one

	rows     []numberedRow
	size     int // of the rows, in bytes
	outcomes map[client.ImportOutcome]int
	lost     map[string]int
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
	rows, err := readRecords(from)
	if err != nil {
		return err
	}
	run := &importRun{importCommand: c, profile: importProfiles[c.From], now: time.Now(), err: s.err,
		outcomes: make(map[client.ImportOutcome]int), lost: make(map[string]int)}
	if c.Report != "" {
		file, openErr := os.OpenFile(c.Report, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		run.report = json.NewEncoder(file)
	}
	return c.withKeys(ctx, s, func(keys keyring) error {
		run.client = keys.client
		bar := newProgressBar(s.err)
		err := run.all(ctx, rows, func() { bar.part("importing", rows.offset(), size) })
		bar.clear()
		run.summary(s.out)
		switch {
		case err != nil && ctx.Err() != nil:
			fmt.Fprintln(s.err, "The import is incomplete. Run the same command again to continue.")
			return err
		case err != nil:
			return explain(keys.annotate(err), "", "")
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

func (r *importRun) all(ctx context.Context, rows *records, progress func()) error {
	number := 0
	for row, err := range rows.all() {
		if err != nil {
			return err
		}
		number++
		if err := r.add(ctx, number, row); err != nil {
			return err
		}
		progress()
	}
	return r.send(ctx)
}

// add sends the rows that wait if another one does not fit.
func (r *importRun) add(ctx context.Context, number int, row record) error {
	key, err := r.profile.key(row, r.now)
	if key.Owner == "" && r.Owner != nil {
		key.Owner = *r.Owner
	}
	if key.ExpiresAt.IsZero() && r.ExpiresAt != nil {
		key.ExpiresAt = r.ExpiresAt.Time()
	}
	if err == nil {
		err = checkRow(key)
	}
	text, encodeErr := json.Marshal(key) //nolint:gosec // G117: only its length is used
	if err == nil && (encodeErr != nil || len(text) > importBody) {
		err = &rowError{"row", "is too large, or has a time after the year 9999"}
	}
	for _, name := range r.profile.lostOf(row) {
		r.lost[name]++
	}
	if fault, ok := errors.AsType[*rowError](err); ok {
		return r.done(number, client.ImportedRow{Outcome: client.ImportInvalid, Field: fault.field, Message: fault.message})
	}
	if err != nil {
		return err
	}
	if len(r.rows) == client.MaxImport || r.size+len(text) > importBody {
		if err := r.send(ctx); err != nil {
			return err
		}
	}
	r.rows = append(r.rows, numberedRow{number, key})
	r.size += len(text) + 1
	return nil
}

// send sends the rows that wait. The API refuses a call as a whole if a row does not match the contract: such rows are
// taken out, and the others sent again.
func (r *importRun) send(ctx context.Context) error {
	for len(r.rows) > 0 {
		keys := make([]client.ImportedKey, len(r.rows))
		for i, row := range r.rows {
			keys[i] = row.key
		}
		answers, err := r.client.Import(ctx, keys, r.DryRun)
		if err != nil {
			if faults := faultsOf(err); len(faults) > 0 {
				if err := r.takeOut(faults); err != nil {
					return err
				}
				continue
			}
			return err
		}
		for _, answer := range answers {
			if answer.Row < 0 || answer.Row >= len(r.rows) {
				return errors.New("the server answers about a row that was not sent")
			}
			if err := r.done(r.rows[answer.Row].number, answer); err != nil {
				return err
			}
		}
		r.rows = r.rows[:0]
	}
	r.size = 0
	return nil
}

// faultsOf returns the faults of rows that an error names, by the place of the row.
func faultsOf(err error) map[int]client.FieldError {
	refusal, ok := errors.AsType[*client.Error](err)
	if !ok || refusal.Status != http.StatusBadRequest {
		return nil
	}
	faults := make(map[int]client.FieldError)
	for _, detail := range refusal.Details {
		rest, ok := strings.CutPrefix(detail.Field, "keys.")
		place, field, _ := strings.Cut(rest, ".")
		if row, err := strconv.Atoi(place); ok && err == nil && faults[row].Message == "" {
			faults[row] = client.FieldError{Field: field, Message: detail.Message}
		}
	}
	return faults
}

func (r *importRun) takeOut(faults map[int]client.FieldError) error {
	var kept []numberedRow
	for i, row := range r.rows {
		fault, ok := faults[i]
		if !ok {
			kept = append(kept, row)
			continue
		}
		err := r.done(row.number, client.ImportedRow{Outcome: client.ImportInvalid, Field: fault.Field, Message: fault.Message})
		if err != nil {
			return err
		}
	}
	if len(kept) == len(r.rows) {
		return errors.New("the server refuses rows that were not sent")
	}
	r.rows = kept
	return nil
}

// done takes note of what became of a row.
func (r *importRun) done(number int, row client.ImportedRow) error {
	row.Row = number
	r.outcomes[row.Outcome]++
	if row.Outcome != client.ImportCreated && row.Outcome != client.ImportExists {
		if r.failures++; r.failures <= shownFailures {
			text := row.Message
			if !strings.HasPrefix(text, row.Field) {
				text = row.Field + " " + text
			}
			fmt.Fprintf(r.err, "row %d: %s: %s\n", number, row.Outcome, printable(text))
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
	for _, name := range slices.Sorted(maps.Keys(r.lost)) {
		fmt.Fprintf(r.err, "NOTE: %s cannot be taken over; it is set in %s.\n", name, count(r.lost[name], "row"))
	}
	created := "created"
	if r.DryRun {
		created = "would be created"
	}
	fmt.Fprintf(out, "%d %s, %d imported before, %d in conflict, %d invalid\n", r.outcomes[client.ImportCreated], created,
		r.outcomes[client.ImportExists], r.outcomes[client.ImportConflict], r.outcomes[client.ImportInvalid])
}
