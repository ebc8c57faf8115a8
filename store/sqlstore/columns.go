package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// column is a column of api_keys and the part of a key that it holds.
type column struct {
	name  string
	fixed bool  // an update leaves it as it is
	since int64 // the schema version that added it; 0 for columns of every readable database
	of    func(*apikey.Key) stored
}

// stored points to a part of a key. It writes that part to a column and reads it back.
type stored interface {
	driver.Valuer
	sql.Scanner
}

// columns are the columns of api_keys. Insert, update, select, move and examine use this list.
var columns = []column{
	{name: "id", fixed: true, of: func(k *apikey.Key) stored { return idColumn{&k.ID} }},
	{name: "owner", fixed: true, of: func(k *apikey.Key) stored { return textColumn{&k.Owner} }},
	{name: "name", of: func(k *apikey.Key) stored { return textColumn{&k.Name} }},
	{name: "prefix", fixed: true, of: func(k *apikey.Key) stored { return textColumn{&k.Prefix} }},
	{name: "scopes", of: func(k *apikey.Key) stored { return scopesColumn{&k.Scopes} }},
	{name: "secret_hash", of: func(k *apikey.Key) stored { return hashColumn{&k.SecretHash} }},
	{name: "created_at", fixed: true, of: func(k *apikey.Key) stored { return timeColumn{&k.CreatedAt} }},
	{name: "expires_at", of: func(k *apikey.Key) stored { return timeColumn{&k.ExpiresAt} }},
	{name: "revoked_at", of: func(k *apikey.Key) stored { return timeColumn{&k.RevokedAt} }},
	{name: "old_secret_hash", of: func(k *apikey.Key) stored { return hashColumn{&k.OldSecretHash} }},
	{name: "old_secret_until", of: func(k *apikey.Key) stored { return timeColumn{&k.OldSecretUntil} }},
	{name: "metadata", of: func(k *apikey.Key) stored { return metadataColumn{&k.Metadata} }},
	{name: "rate_limit", of: func(k *apikey.Key) stored { return numberColumn{&k.RateLimit.Limit} }},
	{name: "rate_window", of: func(k *apikey.Key) stored {
		return secondsColumn{&k.RateLimit.Window}
	}},
	{name: "quota_limit", since: 8, of: func(k *apikey.Key) stored { return numberColumn{&k.Quota.Limit} }},
	{name: "quota_period", since: 8, of: func(k *apikey.Key) stored { return textColumn{(*string)(&k.Quota.Period)} }},
	{name: "quota_starts_on", since: 8, of: func(k *apikey.Key) stored { return numberColumn{&k.Quota.StartsOn} }},
}

// The statements that columns make.
var (
	keyColumns = selectedColumns(math.MaxInt64)
	insertKey  = insertStatement(columns)
	updateKey  = updateStatement(columns)
)

// StoredColumns are the names of the columns of api_keys.
func StoredColumns() string { return columnNames(columns) }

// lastUsedAt is when a key was last used, or NULL.
const lastUsedAt = `(SELECT last_used_at FROM key_uses WHERE key_uses.id = api_keys.id)`

func columnNames(list []column) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// selectedColumns returns what scanKey reads, from a database of this schema version.
func selectedColumns(version int64) string {
	names := make([]string, 0, len(columns)+1)
	for _, c := range columns {
		if c.since > version {
			names = append(names, `NULL AS `+c.name)
			continue
		}
		names = append(names, c.name)
	}
	return strings.Join(append(names, lastUsedAt), ", ")
}

func insertStatement(list []column) string {
	places := make([]string, len(list))
	for i := range list {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	return `INSERT INTO api_keys (` + columnNames(list) + `) VALUES (` + strings.Join(places, ", ") + `)`
}

// updateStatement sets all columns that may change. The id is the last argument.
func updateStatement(list []column) string {
	var set []string
	for _, c := range list {
		if !c.fixed {
			set = append(set, fmt.Sprintf("%s = $%d", c.name, len(set)+1))
		}
	}
	return `UPDATE api_keys SET ` + strings.Join(set, ", ") + fmt.Sprintf(` WHERE id = $%d`, len(set)+1)
}

// insertArgs are the arguments of insertKey.
func insertArgs(k *apikey.Key) ([]any, error) { return storedValues(k, true) }

// updateArgs are the arguments of updateKey.
func updateArgs(k *apikey.Key) ([]any, error) {
	args, err := storedValues(k, false)
	return append(args, k.ID[:]), err
}

func storedValues(k *apikey.Key, fixed bool) ([]any, error) {
	values := make([]any, 0, len(columns)+1)
	var errs error
	for _, c := range columns {
		if c.fixed && !fixed {
			continue
		}
		value, err := c.of(k).Value()
		values, errs = append(values, value), errors.Join(errs, err)
	}
	return values, errs
}

// scanKey reads keyColumns from a row.
func scanKey(row interface{ Scan(dest ...any) error }) (apikey.Key, error) {
	var key apikey.Key
	into := make([]any, 0, len(columns)+1)
	for _, c := range columns {
		into = append(into, c.of(&key))
	}
	err := row.Scan(append(into, timeColumn{&key.LastUsedAt})...)
	switch {
	case errors.Is(err, errMetadata):
		err = fmt.Errorf("%w: the metadata of key %s cannot be read", store.ErrDamaged, key.ID)
	case errors.Is(err, errLength):
		err = fmt.Errorf("%w: a key has an id or a hash of the wrong length", store.ErrDamaged)
	}
	return key, err
}

var (
	errLength   = errors.New("wrong length")
	errMetadata = errors.New("unreadable metadata")
)

// The kinds of columns. A zero value is stored as NULL, except as text.
type (
	textColumn     struct{ at *string }
	idColumn       struct{ at *apikey.ID }
	hashColumn     struct{ at *apikey.Hash }
	timeColumn     struct{ at *time.Time }       // milliseconds since 1970
	scopesColumn   struct{ at *apikey.Scopes }   // text, with spaces between them
	metadataColumn struct{ at *apikey.Metadata } // text, a JSON object
	numberColumn   struct{ at *int }
	secondsColumn  struct{ at *time.Duration }
)

func (c textColumn) Value() (driver.Value, error) { return *c.at, nil }

func (c textColumn) Scan(value any) error {
	text, err := scanText(value)
	*c.at = text
	return err
}

func (c idColumn) Value() (driver.Value, error) { return nullID(*c.at), nil }

func (c idColumn) Scan(value any) error { return scanBytes(c.at[:], value) }

func (c hashColumn) Value() (driver.Value, error) {
	if *c.at == (apikey.Hash{}) {
		return nil, nil
	}
	return c.at[:], nil
}

func (c hashColumn) Scan(value any) error { return scanBytes(c.at[:], value) }

func (c timeColumn) Value() (driver.Value, error) { return millis(*c.at).Value() }

func (c timeColumn) Scan(value any) error {
	ms, err := scanNumber(value)
	*c.at = fromMillis(ms)
	return err
}

func (c scopesColumn) Value() (driver.Value, error) { return c.at.String(), nil }

func (c scopesColumn) Scan(value any) error {
	text, err := scanText(value)
	*c.at = apikey.ParseScopes(text)
	return err
}

func (c metadataColumn) Value() (driver.Value, error) {
	if len(*c.at) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(*c.at)
	return string(text), err
}

func (c metadataColumn) Scan(value any) error {
	text, err := scanText(value)
	if err == nil && json.Unmarshal([]byte(text), c.at) != nil {
		err = errMetadata
	}
	return err
}

func (c numberColumn) Value() (driver.Value, error) {
	return sql.NullInt64{Int64: int64(*c.at), Valid: *c.at != 0}.Value()
}

func (c numberColumn) Scan(value any) error {
	number, err := scanNumber(value)
	*c.at = int(number.Int64)
	return err
}

func (c secondsColumn) Value() (driver.Value, error) {
	return sql.NullInt64{Int64: int64(*c.at / time.Second), Valid: *c.at != 0}.Value()
}

func (c secondsColumn) Scan(value any) error {
	number, err := scanNumber(value)
	*c.at = time.Duration(number.Int64) * time.Second
	return err
}

// scanText reads a text; NULL is empty.
func scanText(value any) (string, error) {
	switch text := value.(type) {
	case string:
		return text, nil
	case []byte:
		return string(text), nil
	case nil:
		return "", nil
	}
	return "", fmt.Errorf("%T where a text is stored", value)
}

// scanNumber reads a number that may be NULL.
func scanNumber(value any) (sql.NullInt64, error) {
	switch number := value.(type) {
	case int64:
		return sql.NullInt64{Int64: number, Valid: true}, nil
	case nil:
		return sql.NullInt64{}, nil
	}
	return sql.NullInt64{}, fmt.Errorf("%T where a number is stored", value)
}

// scanBytes reads a value of exactly the length of to, or NULL.
func scanBytes(to []byte, value any) error {
	from, isBytes := value.([]byte)
	if value == nil {
		return nil
	}
	if !isBytes || len(from) != len(to) {
		return errLength
	}
	copy(to, from)
	return nil
}

// millis is how a time is stored; the zero time is NULL.
func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// nullID is how an id is stored; the zero id is NULL.
func nullID(id apikey.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}
