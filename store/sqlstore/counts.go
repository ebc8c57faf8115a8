package sqlstore

import (
	"context"
	"database/sql"
	"maps"
	"slices"
)

// everybody stands for all owners in key_counts.
const everybody = ""

// countOf returns a query of how many keys an owner has. Each chain counts the keys that its processes created.
func countOf(owner string) string {
	return `SELECT CAST(coalesce(sum(keys), 0) AS BIGINT) FROM key_counts WHERE owner = ` + owner
}

// count updates the numbers of keys, once for all changes of a transaction. They are the writer's own: on a common
// row, nodes would wait for each other's commits.
func (w *writer) count(batch []*job) error {
	more := make(map[string]int)
	for _, j := range batch {
		if j.err == nil && j.created != "" {
			more[j.created]++
			more[everybody]++
		}
	}
	// In order, because neighbours share pages.
	for _, owner := range slices.Sorted(maps.Keys(more)) {
		err := w.exec(`INSERT INTO key_counts (owner, chain, keys) VALUES ($1, $2, $3)
			ON CONFLICT (owner, chain) DO UPDATE SET keys = key_counts.keys + excluded.keys`, owner, w.chain, more[owner])
		if err != nil {
			return err
		}
	}
	return nil
}

// Recount corrects key_counts in one transaction. While a server runs, it is a change like any other.
func (db *DB) Recount(ctx context.Context) error {
	return db.write(ctx, func(t *transaction) error { return recount(t.exec) })
}

// RecountIn is Recount in a transaction of the caller, for a database that was copied.
func RecountIn(ctx context.Context, tx *sql.Tx) error {
	return recount(func(statement string, _ ...any) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	})
}

// recount counts the keys of each owner, and all keys.
func recount(exec func(statement string, args ...any) error) error {
	err := exec(`DELETE FROM key_counts`)
	if err == nil {
		err = exec(`INSERT INTO key_counts (owner, chain, keys)
			SELECT owner, '` + sharedChain + `', count(*) FROM api_keys GROUP BY owner
			UNION ALL SELECT '', '` + sharedChain + `', count(*) FROM api_keys`)
	}
	return err
}
