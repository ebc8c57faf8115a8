package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// applicationID marks a SQLite file as ours: "apik".
const applicationID = 0x6170696b

// migrate brings the schema up to date if allowed to, and refuses a database that
// is not ours, too new, or too old to be used as it is.
func migrate(ctx context.Context, db *sql.DB, allowed bool) error {
	if err := checkOurs(ctx, db); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("reading the schema version: %w", err)
	case current == target:
		return nil
	case current > target:
		return ErrTooNew
	case !allowed:
		return ErrNotMigrated
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema up to date: %w", err)
	}
	return nil
}

// checkOurs accepts an empty file and one that carries our mark.
func checkOurs(ctx context.Context, db *sql.DB) error {
	var mark, tables int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&mark); err != nil {
		return translateOpen(err)
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return translateOpen(err)
	}
	if mark != applicationID && tables > 0 {
		return ErrForeign
	}
	return nil
}
