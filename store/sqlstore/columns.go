package sqlstore

import (
	"errors"
	"fmt"
	"math"
	"strings"

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
