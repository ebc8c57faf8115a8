package sqlstore

import (
	"context"
	"database/sql"
)

// Recount makes key_counts what Examination.Counts wants it to be, in one transaction: beside
// a server it is a change like any other.
func (db *DB) Recount(ctx context.Context) error {
	return db.write(ctx, func(t *transaction) error { return countKeys(t.exec) })
}

// CountKeys makes key_counts of the keys.
func CountKeys(ctx context.Context, tx *sql.Tx) error {
	return countKeys(func(statement string, _ ...any) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	})
}

// countKeys counts the keys of each owner, and all.
func countKeys(exec func(statement string, args ...any) error) error {
	err := exec(`DELETE FROM key_counts`)
	if err == nil {
		err = exec(`INSERT INTO key_counts (owner, keys)
			SELECT owner, count(*) FROM api_keys GROUP BY owner
			UNION ALL SELECT '', count(*) FROM api_keys`)
	}
	return err
}
