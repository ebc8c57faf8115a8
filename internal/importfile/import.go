// Package importfile reads files of keys that other services issued, and imports them. The console and the command line
// share it.
package importfile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// maxBody bounds the rows of one call, in bytes: the API takes 64 KiB.
const maxBody = 60_000

// Run is one import.
type Run struct {
	Client    *client.Client
	From      string    // the name of a profile: who left the file
	Owner     string    // of keys whose row names none; empty is the client's own
	ExpiresAt time.Time // the end of keys whose row has none; zero if such rows fail
	NoEnd     string    // how to name that end, for the message about such a row
	DryRun    bool
	Now       time.Time
	Done      func(client.ImportedRow) error // is told what became of each row, whose Row counts from 1

	Lost map[string]int // fields that cannot be taken over, and in how many rows they are set

	rows []numberedRow // wait to be sent
	size int           // of them, in bytes
}

// numberedRow is a row that waits to be sent.
type numberedRow struct {
	number int
	key    client.ImportedKey
}

// Known reports whether there is a profile of this name.
func Known(from string) bool { return profiles[from].key != nil }

// All imports all rows, and calls progress, which may be nil, after each. A row that fails is reported to Done; an error
// ends the import.
func (r *Run) All(ctx context.Context, rows *Rows, progress func()) error {
	if !Known(r.From) {
		return errors.New("the file's format is unknown")
	}
	number := 0
	for row, err := range rows.all() {
		if err != nil {
			return err
		}
		number++
		if err := r.add(ctx, number, row); err != nil {
			return err
		}
		if progress != nil {
			progress()
		}
	}
	return r.send(ctx)
}

// add sends the rows that wait if another one does not fit.
func (r *Run) add(ctx context.Context, number int, row record) error {
	from := profiles[r.From]
	key, err := from.key(row, r.Now)
	key.Owner = cmp.Or(key.Owner, r.Owner)
	if key.ExpiresAt.IsZero() {
		key.ExpiresAt = r.ExpiresAt
	}
	if err == nil {
		err = checkRow(key, r.NoEnd)
	}
	text, encodeErr := json.Marshal(key) //nolint:gosec // G117: only its length is used
	if err == nil && (encodeErr != nil || len(text) > maxBody) {
		err = &rowError{"row", "is too large, or has a time after the year 9999"}
	}
	for _, name := range from.lostOf(row) {
		if r.Lost == nil {
			r.Lost = make(map[string]int)
		}
		r.Lost[name]++
	}
	if fault, ok := errors.AsType[*rowError](err); ok {
		return r.done(number, client.ImportedRow{Outcome: client.ImportInvalid, Field: fault.field, Message: fault.message})
	}
	if err != nil {
		return err
	}
	if len(r.rows) == client.MaxImport || r.size+len(text) > maxBody {
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
func (r *Run) send(ctx context.Context) error {
	for len(r.rows) > 0 {
		keys := make([]client.ImportedKey, len(r.rows))
		for i, row := range r.rows {
			keys[i] = row.key
		}
		answers, err := r.Client.Import(ctx, keys, r.DryRun)
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

// takeOut removes rows that the API refuses from those that wait.
func (r *Run) takeOut(faults map[int]client.FieldError) error {
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

func (r *Run) done(number int, row client.ImportedRow) error {
	row.Row = number
	return r.Done(row)
}

// checkRow says what keeps a row from being imported that the API could only say less clearly.
func checkRow(key client.ImportedKey, noEnd string) error {
	for _, salted := range []string{"$2a$", "$2b$", "$2y$", "$argon2", "$scrypt$", "$pbkdf2", "pbkdf2_", "$5$", "$6$"} {
		if strings.HasPrefix(key.Hash, salted) {
			return &rowError{"hash", "is salted, so no index can find it: the secret itself is needed, or a new key"}
		}
	}
	switch {
	case key.Name == "":
		return &rowError{"name", "is missing"}
	case key.ExpiresAt.IsZero():
		return &rowError{"expires_at", "is missing; " + noEnd}
	case key.Secret == "" && key.Hash == "":
		return &rowError{"secret", "is missing, and there is no hash either"}
	}
	if key.Secret != "" {
		if _, err := apikey.ForeignSecret(key.Secret); err != nil {
			return fieldOf(err)
		}
	}
	return nil
}

// fieldOf returns the first fault that an *apikey.InvalidError lists.
func fieldOf(err error) error {
	if invalid, ok := errors.AsType[*apikey.InvalidError](err); ok {
		return &rowError{invalid.Fields[0].Field, invalid.Fields[0].Message}
	}
	return fmt.Errorf("%w", err)
}
