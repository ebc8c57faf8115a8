package sqlstore

import "context"

// Recount makes key_counts what Examination.Counts wants it to be, in one transaction:
// beside a server it is a change as any other.
func (db *DB) Recount(ctx context.Context) error {
	return db.write(ctx, func(t *transaction) error {
		if err := t.exec(`DELETE FROM key_counts`); err != nil {
			return err
		}
		return t.exec(`INSERT INTO key_counts (owner, keys)
			SELECT owner, count(*) FROM api_keys GROUP BY owner
			UNION ALL SELECT '', count(*) FROM api_keys`)
	})
}
