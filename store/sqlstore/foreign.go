package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store"
)

// ForeignColumns are the columns of foreign_secrets.
const ForeignColumns = `secret, id`

// foreignKey is the primary key of a foreign secret: its scheme's place in apikey.Schemes, and its hash.
func foreignKey(s apikey.Foreign) []byte {
	return append([]byte{byte(slices.Index(apikey.Schemes, s.Scheme))}, s.Hash[:]...) //nolint:gosec // one of a few
}

// someForeign is a query of whether there are secrets in each scheme: one descent of the primary key each.
var someForeign, schemeBounds = someForeignQuery()

func someForeignQuery() (query string, bounds []any) {
	parts := make([]string, len(apikey.Schemes))
	for i := range apikey.Schemes {
		parts[i] = fmt.Sprintf(`SELECT * FROM (SELECT CAST(%d AS BIGINT) AS scheme FROM foreign_secrets
			WHERE secret >= $%d AND secret < $%d LIMIT 1) AS scheme_%d`, i, i+1, i+2, i)
		bounds = append(bounds, []byte{byte(i)})
	}
	return strings.Join(parts, ` UNION ALL `), append(bounds, []byte{byte(len(apikey.Schemes))}) //nolint:gosec // a few
}

// ForeignSchemes implements store.Foreign.
func (db *DB) ForeignSchemes(ctx context.Context) (schemes []apikey.Scheme, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		schemes = nil
		return db.points.each(ctx, func(r row) error {
			var i int
			err := r.Scan(&i)
			if err == nil {
				schemes = append(schemes, apikey.Schemes[i])
			}
			return err
		}, someForeign, schemeBounds...)
	})
	return schemes, err
}

// ForeignKey implements store.Foreign.
func (db *DB) ForeignKey(
	ctx context.Context, secrets []apikey.Foreign,
) (id apikey.ID, hash apikey.Hash, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		id, hash, err = findForeign(ctx, db.points, secrets)
		return err
	})
	return id, hash, err
}

func findForeign(ctx context.Context, q querier, secrets []apikey.Foreign) (id apikey.ID, hash apikey.Hash, err error) {
	c := &conditions{}
	places := make([]string, len(secrets))
	for i, s := range secrets {
		places[i] = c.arg(foreignKey(s))
	}
	if len(places) == 0 {
		return id, hash, sql.ErrNoRows
	}
	var secret []byte
	err = first(ctx, q, `SELECT secret, id FROM foreign_secrets WHERE secret IN (`+strings.Join(places, ", ")+`)`, c.args...).
		Scan(&secret, idColumn{&id})
	if err == nil && len(secret) != 1+len(hash) {
		err = errLength
	}
	if err == nil {
		copy(hash[:], secret[1:])
	}
	return id, hash, err
}

// ImportKey implements store.Foreign.
func (db *DB) ImportKey(ctx context.Context, actor store.Actor, key apikey.Key, scheme apikey.Scheme) error {
	secret := apikey.Foreign{Scheme: scheme, Hash: key.SecretHash}
	return db.mutateIn(ctx, actor, key.Owner, func(m *mutation) error {
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayImport() }); err != nil {
			return err
		}
		id, _, err := findForeign(context.Background(), m, []apikey.Foreign{secret})
		if err == nil {
			return &store.ImportedError{Key: id}
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := m.needRoom(key.Owner); err != nil {
			return err
		}
		if err := m.insertKey(key); err != nil {
			return err
		}
		inserted, err := execCounting(m, `INSERT INTO foreign_secrets (`+ForeignColumns+`) VALUES ($1, $2)
			ON CONFLICT DO NOTHING RETURNING id`, foreignKey(secret), key.ID[:])
		if err == nil && inserted == 0 { // another node was faster
			err = fmt.Errorf("%w: the same secret is being imported elsewhere", store.ErrUnavailable)
		}
		if err != nil {
			return err
		}
		return m.audit(store.ActionCreate, &key, key.Difference(nil, m.now).Imported(scheme))
	})
}
