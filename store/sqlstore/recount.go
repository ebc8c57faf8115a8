package sqlstore

import "context"

// Recount makes key_counts what Examination.Counts wants it to be, in one transaction:
// beside a server it is a change as any other.
func (db *DB) Recount(ctx context.Context) error {
	return db.write(ctx, func(t *transaction) error {
		for _, statement := range recount {
			if err := t.exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// recount counts the keys of each owner, and all.
var recount = [...]string{
	`DELETE FROM key_counts`,
	`INSERT INTO key_counts (owner, keys)
		SELECT owner, count(*) FROM api_keys GROUP BY owner
		UNION ALL SELECT '', count(*) FROM api_keys`,
}
