package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// Size checks that a file that nobody writes to is as long as its pages.
func (e *Examination) Size(ctx context.Context) error {
	var pages, size int64
	err := e.row(ctx, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`, &pages, &size)
	if err != nil {
		return err
	}
	info, err := os.Stat(e.path)
	if err == nil && info.Size() != pages*size {
		return fmt.Errorf("%w: its file has %d bytes and its pages %d", store.ErrDamaged, info.Size(), pages*size)
	}
	return err
}

// Integrity runs SQLite's own checks of pages, indexes and foreign keys.
func (e *Examination) Integrity(ctx context.Context) error {
	var found []string
	scan := func(r row) error {
		var line string
		err := r.Scan(&line)
		if line != "ok" {
			found = append(found, line)
		}
		return err
	}
	err := errors.Join(
		e.rows(ctx, scan, `PRAGMA integrity_check(3)`),
		e.rows(ctx, scan, `SELECT 'foreign key of ' || "table" FROM pragma_foreign_key_check LIMIT 3`))
	if err == nil && found != nil {
		err = fmt.Errorf("%w: %s", store.ErrDamaged, strings.Join(found, "; "))
	}
	return err
}

// rowsAtOnce is how many keys one statement reads: a server cannot restart its WAL while a statement runs.
const rowsAtOnce = 10_000

// Keys checks that every key can be read and makes sense.
func (e *Examination) Keys(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	// A constraint of the table, which SQLite's own check skips on read-only connections.
	var short string
	err := e.row(ctx, `SELECT hex(id) FROM api_keys
		WHERE length(id) <> 16 OR length(secret_hash) <> 32 OR length(old_secret_hash) <> 32 LIMIT 1`, &short)
	if err == nil {
		err = fmt.Errorf("%w: the id or a hash of key %s has the wrong length", store.ErrDamaged, short)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return e.someKeys(ctx, func(keys []apikey.Key) error {
		for _, key := range keys {
			if err := checkKey(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// someKeys calls do with all keys in the order of their ids, some at a time.
func (e *Examination) someKeys(ctx context.Context, do func([]apikey.Key) error) error {
	last := []byte{}
	for {
		var keys []apikey.Key
		reader := newKeyReader()
		err := e.rows(ctx, func(r row) error {
			key, err := reader.read(r)
			if err != nil && !errors.Is(err, store.ErrDamaged) {
				err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
			}
			keys = append(keys, key)
			return err
		}, `SELECT `+selectedColumns(e.version)+` FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2`, last, rowsAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := do(keys); err != nil {
			return err
		}
		last = keys[len(keys)-1].ID[:]
	}
}

// checkKey checks what a keyReader accepts unchecked. It does not apply today's rules about names and scopes: a newer
// rule must not keep an old key from being backed up.
func checkKey(k apikey.Key) error {
	wrong := ""
	switch {
	case k.ID.IsZero():
		wrong = "id"
	case k.Owner == "":
		wrong = "owner"
	case k.Name == "":
		wrong = "name"
	case k.SecretHash == apikey.Hash{}:
		wrong = "secret_hash"
	case k.CreatedAt.IsZero() || k.ExpiresAt.IsZero():
		wrong = "times"
	case (k.OldSecretHash == apikey.Hash{}) != k.OldSecretUntil.IsZero():
		wrong = "old secret"
	case !makesSense(k.RateLimit):
		wrong = "rate limit"
	default:
		return nil
	}
	return fmt.Errorf("%w: the %s of key %s makes no sense", store.ErrDamaged, wrong, k.ID)
}

// foreignHashes are keys with the hashes of their foreign secrets, without the schemes.
const foreignHashes = `SELECT id, substr(secret, 2) FROM foreign_secrets`

// Foreign checks that every foreign secret leads to a key, and that every key with one is found by it.
func (e *Examination) Foreign(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	var id string
	err := e.row(ctx, `SELECT hex(id) FROM foreign_secrets WHERE id NOT IN (SELECT id FROM api_keys)
		UNION ALL SELECT hex(id) FROM api_keys WHERE foreign_secret = 1 AND (id, secret_hash) NOT IN (`+foreignHashes+`)
		UNION ALL SELECT hex(id) FROM api_keys WHERE foreign_secret = 2 AND (id, old_secret_hash) NOT IN (`+foreignHashes+`)
		LIMIT 1`, &id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: the foreign secret of key %s is missing, or leads to no key", store.ErrDamaged, id)
	}
	return err
}

// Owners checks that the settings of every owner can be read and make sense.
func (e *Examination) Owners(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	return e.eachOwner(ctx, func(o apikey.Owner) error {
		if o.Name == "" || o.MaxKeys < 0 || !makesSense(o.RateLimit) {
			return fmt.Errorf("%w: the settings of owner %q make no sense", store.ErrDamaged, o.Name)
		}
		return nil
	})
}

// ownersSchema is the first schema with a table of owners.
const ownersSchema = 11

// eachOwner calls do with each owner that has settings.
func (e *Examination) eachOwner(ctx context.Context, do func(apikey.Owner) error) error {
	if e.version < ownersSchema {
		return nil
	}
	return e.rows(ctx, func(r row) error {
		o, err := readOwner(r)
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
			}
			return err
		}
		return do(o)
	}, `SELECT `+ownerColumns.namesAt(e.version)+` FROM owners ORDER BY owner`)
}

// makesSense reports whether a rate limit has both of its parts or neither.
func makesSense(r apikey.RateLimit) bool { return (r.Limit > 0) == (r.Window > 0) }

// Names checks that no owner has two keys of one name that are not revoked.
func (e *Examination) Names(ctx context.Context) error {
	var owner, name string
	err := e.row(ctx, `SELECT owner, name FROM api_keys WHERE revoked_at IS NULL
		GROUP BY owner, name HAVING count(*) > 1 LIMIT 1`, &owner, &name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %q has two keys named %q", store.ErrDamaged, owner, name)
}

// Audit checks that the audit log was not altered. It returns ErrAltered if it was.
func (e *Examination) Audit(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	reports, err := verifyChains(ctx, e.reads(), sharedChain, nil)
	if err != nil {
		return sqlitefile.During(ctx, err)
	}
	for _, report := range reports {
		if len(report.Faults) > 0 {
			return fmt.Errorf("%w: chain %q: %s", ErrAltered, report.Head.Chain, report.Faults[0])
		}
	}
	return nil
}

// Counts checks that key_counts says how many keys each owner has. It returns ErrMiscounts
// if not; Recount repairs that.
func (e *Examination) Counts(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	// In one statement, so that both sides are of one moment.
	var wrong int
	err := e.row(ctx, `WITH counted AS (
			SELECT owner, count(*) AS keys FROM api_keys GROUP BY owner
			UNION ALL SELECT '', count(*) FROM api_keys
		), kept AS (
			SELECT owner, sum(keys) AS keys FROM key_counts GROUP BY owner
		)
		SELECT count(*) FROM counted FULL JOIN kept ON kept.owner = counted.owner
		WHERE coalesce(counted.keys, 0) <> coalesce(kept.keys, 0)`, &wrong)
	if err == nil && wrong > 0 {
		return fmt.Errorf("%w, for %d owners", ErrMiscounts, wrong)
	}
	return err
}

// Settings checks that SQLite accepts the settings with which a server writes.
func (e *Examination) Settings(ctx context.Context) error {
	return sqlitefile.CheckSettings(ctx, e.pool)
}

// IsWAL reports whether the database is in WAL mode, as a server leaves it. A restored database
// is not, until it is served.
func (e *Examination) IsWAL(ctx context.Context) (bool, error) {
	var mode string
	err := e.row(ctx, `PRAGMA journal_mode`, &mode)
	return mode == "wal", err
}
