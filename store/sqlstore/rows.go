package sqlstore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// storedColumns are those of api_keys.
const storedColumns = `id, owner, name, prefix, scopes, secret_hash,
	created_at, expires_at, revoked_at,
	old_secret_hash, old_secret_until, metadata, rate_limit, rate_window`

// lastUsedAt is when a key was last used, or NULL.
const lastUsedAt = `(SELECT last_used_at FROM key_uses WHERE key_uses.id = api_keys.id)`

// keyColumns are all that make a key.
const keyColumns = storedColumns + `, ` + lastUsedAt

// scanKey reads keyColumns from a row.
func scanKey(row interface{ Scan(dest ...any) error }) (apikey.Key, error) {
	var (
		key                                          apikey.Key
		id, hash, oldHash                            []byte
		scopes, metadata                             string
		created, expires, revoked, lastUse, oldUntil sql.NullInt64
		rateLimit, rateWindow                        sql.NullInt64
	)
	err := row.Scan(&id, &key.Owner, &key.Name, &key.Prefix, &scopes, &hash,
		&created, &expires, &revoked,
		&oldHash, &oldUntil, &metadata, &rateLimit, &rateWindow, &lastUse)
	if err != nil {
		return apikey.Key{}, err
	}
	if len(id) != len(key.ID) || len(hash) != len(key.SecretHash) {
		return apikey.Key{}, fmt.Errorf("%w: a key has an id or a hash of the wrong length", store.ErrDamaged)
	}
	copy(key.ID[:], id)
	copy(key.SecretHash[:], hash)
	copy(key.OldSecretHash[:], oldHash)
	key.Scopes = apikey.ParseScopes(scopes)
	key.CreatedAt = fromMillis(created)
	key.ExpiresAt = fromMillis(expires)
	key.RevokedAt = fromMillis(revoked)
	key.LastUsedAt = fromMillis(lastUse)
	key.OldSecretUntil = fromMillis(oldUntil)
	key.RateLimit.Limit = int(rateLimit.Int64)
	key.RateLimit.Window = time.Duration(rateWindow.Int64) * time.Second
	if err := json.Unmarshal([]byte(metadata), &key.Metadata); err != nil {
		return apikey.Key{}, fmt.Errorf("%w: the metadata of key %s cannot be read", store.ErrDamaged, key.ID)
	}
	return key, nil
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

// hashOrNull is how a hash is stored that need not be there.
func hashOrNull(h apikey.Hash) []byte {
	if h == (apikey.Hash{}) {
		return nil
	}
	return h[:]
}

// numberOrNull is how a number is stored that is never 0; 0 is NULL.
func numberOrNull(n int) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(n), Valid: n != 0}
}

// metadataJSON is how metadata is stored.
func metadataJSON(m apikey.Metadata) string {
	if len(m) == 0 {
		return "{}"
	}
	text, _ := json.Marshal(m) // a map of strings is always JSON
	return string(text)
}
