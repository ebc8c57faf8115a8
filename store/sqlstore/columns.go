package sqlstore

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"apikeyd/apikey"
	"apikeyd/store"
)

// stored points to a part of a key. It writes that part to a column and reads it back.
type stored interface {
	value() any // as an argument of a statement
	read(r row, column int) error
}

// columns are the columns of api_keys. Insert, update, select, move and examine use this list.
var columns = columnsOf[apikey.Key]{
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
	{name: "suspended", since: 8, of: func(k *apikey.Key) stored { return flagColumn{&k.Suspended} }},
	{name: "revocation_reason", since: 8, of: func(k *apikey.Key) stored {
		return textColumn{(*string)(&k.RevocationReason)}
	}},
	{name: "quota_limit", since: 9, of: func(k *apikey.Key) stored { return numberColumn{&k.Quota.Limit} }},
	{name: "quota_period", since: 9, of: func(k *apikey.Key) stored { return textColumn{(*string)(&k.Quota.Period)} }},
	{name: "quota_starts_on", since: 9, of: func(k *apikey.Key) stored { return numberColumn{&k.Quota.StartsOn} }},
	{name: "allowed_cidrs", since: 10, of: func(k *apikey.Key) stored { return cidrsColumn{&k.AllowedCIDRs} }},
	{name: "observe_cidrs", since: 10, of: func(k *apikey.Key) stored { return cidrsColumn{&k.ObserveCIDRs} }},
	{name: "foreign_secret", since: 15, of: func(k *apikey.Key) stored { return numberColumn{(*int)(&k.Foreign)} }},
	{name: "rotated_at", since: 16, of: func(k *apikey.Key) stored { return timeColumn{&k.RotatedAt} }},
}

// The statements that columns make.
var (
	keyColumns = selectedColumns(allColumns)
	insertKey  = columns.insert("api_keys")
	updateKey  = updateStatement()
)

// allColumns is a schema version that has all columns.
const allColumns = math.MaxInt64

// StoredColumns are the names of the columns of api_keys.
func StoredColumns() string { return columns.names() }

// lastUsedAt is when a key was last used, or NULL.
const lastUsedAt = `(SELECT last_used_at FROM key_uses WHERE key_uses.id = api_keys.id)`

// lastUse is that and where from, with a space between them: reading both in one look-up costs less.
func lastUse(version int64) string {
	if version < usageSchema {
		return lastUsedAt
	}
	return `(SELECT last_used_at || ' ' || last_used_from FROM key_uses WHERE key_uses.id = api_keys.id)`
}

// usageSchema is the first schema that keeps where a key was last used from.
const usageSchema = 13

// ownerSuspended is 1 if a key's owner is suspended, else NULL.
const ownerSuspended = `(SELECT owners.suspended FROM owners WHERE owners.owner = api_keys.owner)`

// selectedColumns returns what a keyReader reads, from a database of this schema version.
func selectedColumns(version int64) string { return selectedColumnsAnd(`NULL`, version) }

// selectedColumnsAnd is selectedColumns with a column of the session's kind.
func selectedColumnsAnd(session string, version int64) string {
	suspended := ownerSuspended
	if version < ownersSchema {
		suspended = `NULL`
	}
	return strings.Join([]string{columns.namesAt(version), lastUse(version), suspended, session}, ", ")
}

// updateStatement sets all columns that may change. The id is the last argument.
func updateStatement() string {
	var set []string
	for _, c := range columns {
		if !c.fixed {
			set = append(set, fmt.Sprintf("%s = $%d", c.name, len(set)+1))
		}
	}
	return `UPDATE api_keys SET ` + strings.Join(set, ", ") + fmt.Sprintf(` WHERE id = $%d`, len(set)+1)
}

// updateArgs are the arguments of updateKey.
func updateArgs(k *apikey.Key) []any {
	values := make([]any, 0, len(columns)+1)
	for _, c := range columns {
		if !c.fixed {
			values = append(values, c.of(k).value())
		}
	}
	return append(values, k.ID[:])
}

// keyReader reads keyColumns from rows.
type keyReader struct {
	key   apikey.Key
	parts []any // of key
}

func newKeyReader() *keyReader {
	k := &keyReader{}
	k.parts = append(columns.parts(&k.key),
		useColumn{&k.key}, flagColumn{&k.key.OwnerSuspended}, textColumn{(*string)(&k.key.Session)})
	return k
}

func (k *keyReader) read(r interface{ Scan(to ...any) error }) (apikey.Key, error) {
	k.key = apikey.Key{} // a part that is NULL stays as it is
	err := r.Scan(k.parts...)
	switch {
	case errors.Is(err, errMetadata):
		err = fmt.Errorf("%w: the metadata of key %s cannot be read", store.ErrDamaged, k.key.ID)
	case errors.Is(err, errCIDRs):
		err = fmt.Errorf("%w: the networks of key %s cannot be read", store.ErrDamaged, k.key.ID)
	case errors.Is(err, errLength):
		err = fmt.Errorf("%w: a key has an id or a hash of the wrong length", store.ErrDamaged)
	}
	return k.key, err
}

var (
	errLength   = errors.New("wrong length")
	errMetadata = errors.New("unreadable metadata")
	errCIDRs    = errors.New("unreadable networks")
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
	flagColumn     struct{ at *bool }         // 1
	cidrsColumn    struct{ at *apikey.CIDRs } // text, with spaces between them
	useColumn      struct{ of *apikey.Key }   // lastUse; only read
)

func (c textColumn) value() any { return *c.at }

func (c textColumn) read(r row, i int) (err error) {
	*c.at, err = r.text(i)
	return err
}

func (c idColumn) value() any { return nullID(*c.at) }

func (c idColumn) read(r row, i int) error { return r.fill(i, c.at[:]) }

func (c hashColumn) value() any {
	if *c.at == (apikey.Hash{}) {
		return nil
	}
	return c.at[:]
}

func (c hashColumn) read(r row, i int) error { return r.fill(i, c.at[:]) }

func (c timeColumn) value() any { return millis(*c.at) }

func (c timeColumn) read(r row, i int) error {
	ms, err := r.number(i)
	*c.at = fromMillis(ms)
	return err
}

func (c scopesColumn) value() any { return c.at.String() }

func (c scopesColumn) read(r row, i int) error {
	text, err := r.text(i)
	*c.at = apikey.ParseScopes(text)
	return err
}

// noMetadata is how a key without metadata is stored.
const noMetadata = `{}`

func (c metadataColumn) value() any {
	if len(*c.at) == 0 {
		return noMetadata
	}
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(*c.at)) {
		entries = append(entries, metadataEntry(name, (*c.at)[name]))
	}
	return "{" + strings.Join(entries, ",") + "}"
}

// metadataEntry returns the only text that an entry has. Lists look for it after a comma. That comma and the quote
// after it could also end a text, but only if another one were a name's colon alone, which is therefore escaped: in
// {"x,":":","y":""} the name ":" would have the value ",".
func metadataEntry(name, value string) string {
	if name == ":" {
		return `"\u003a":` + quoted(value)
	}
	return quoted(name) + ":" + quoted(value)
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // no string fails
	return string(b)
}

func (c metadataColumn) read(r row, i int) error {
	text, err := r.text(i)
	if text == noMetadata {
		*c.at = apikey.Metadata{}
	} else if err == nil && json.Unmarshal([]byte(text), c.at) != nil {
		err = errMetadata
	}
	return err
}

func (c numberColumn) value() any { return sql.NullInt64{Int64: int64(*c.at), Valid: *c.at != 0} }

func (c numberColumn) read(r row, i int) error {
	number, err := r.number(i)
	*c.at = int(number.Int64)
	return err
}

func (c secondsColumn) value() any {
	return sql.NullInt64{Int64: int64(*c.at / time.Second), Valid: *c.at != 0}
}

func (c secondsColumn) read(r row, i int) error {
	number, err := r.number(i)
	*c.at = time.Duration(number.Int64) * time.Second
	return err
}

func (c flagColumn) value() any { return sql.NullInt64{Int64: 1, Valid: *c.at} }

func (c flagColumn) read(r row, i int) error {
	number, err := r.number(i)
	*c.at = number.Int64 != 0
	return err
}

func (c cidrsColumn) value() any { return c.at.String() }

// read refuses text that is not a network: an unreadable list would not restrict the key.
func (c cidrsColumn) read(r row, i int) error {
	text, err := r.text(i)
	if *c.at = apikey.ParseCIDRs(strings.Fields(text)); err == nil && apikey.CheckCIDRs("", *c.at) != nil {
		err = errCIDRs
	}
	return err
}

func (c useColumn) value() any { return nil }

func (c useColumn) read(r row, i int) error {
	if r.ColumnType(i) == sqlite.TypeInteger { // of an old schema
		return timeColumn{&c.of.LastUsedAt}.read(r, i)
	}
	text, err := r.text(i)
	if text == "" || err != nil {
		return err
	}
	at, from, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	c.of.LastUsedAt, c.of.LastUsedFrom = time.UnixMilli(ms).UTC(), from
	return err
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
