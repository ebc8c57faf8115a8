package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

//go:embed migrations
var migrations embed.FS

// applicationID marks a SQLite file as ours: "apik".
const applicationID = 0x6170696b

// migrate brings the schema up to date. It says so before: much data can take minutes.
func migrate(ctx context.Context, writer *sql.DB, log *slog.Logger) error {
	provider, err := newProvider(writer)
	if err != nil {
		return err
	}
	current, target, err := schemaVersions(ctx, writer)
	if err != nil && !errors.Is(err, ErrUnfinished) { // else it is the move that prepares its target
		return err
	}
	if current > 0 && current < target {
		log.Info("bringing the schema up to date, which can take minutes", "from", current, "to", target)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema up to date: %w", err)
	}
	return nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(goose.NewGoMigration(5, &goose.GoFunc{RunTx: chainEvents}, nil)))
}

// checkSchema refuses a database that is not ours, too new, or, unless it may be
// migrated, too old. It only reads: what is refused stays as it was.
func checkSchema(ctx context.Context, reader *sql.DB, mayMigrate bool) error {
	current, target, err := schemaVersions(ctx, reader)
	switch {
	case err != nil:
		return err
	case current > target:
		return store.ErrTooNew
	case current < target && !mayMigrate:
		return store.ErrNotMigrated
	}
	return nil
}

// schemaVersions returns the version of a database and the one that is ours.
func schemaVersions(ctx context.Context, reader *sql.DB) (current, target int64, err error) {
	provider, err := newProvider(reader)
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources()
	current, err = schemaVersion(ctx, reader)
	return current, sources[len(sources)-1].Version, err
}

// schemaVersion returns the version of the last migration, 0 for an empty database.
// The provider's own GetVersions would create its table.
func schemaVersion(ctx context.Context, reader *sql.DB) (int64, error) {
	var mark, tables int
	unfinished, err := hasMoveFile(ctx, reader)
	if err != nil {
		return 0, err
	}
	if unfinished {
		return 0, ErrUnfinished
	}
	if err := reader.QueryRowContext(ctx, "PRAGMA application_id").Scan(&mark); err != nil {
		return 0, sqlitefile.TranslateOpen(err)
	}
	if mark == applicationID {
		versions, err := database.NewStore(database.DialectSQLite3, goose.DefaultTablename)
		if err != nil {
			return 0, err
		}
		return versions.GetLatestVersion(ctx, reader)
	}
	// The table of versions comes first, in a transaction of its own; a crash right
	// after it leaves nothing else.
	err = reader.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema
		WHERE name NOT IN ($1, 'sqlite_sequence')`, goose.DefaultTablename).Scan(&tables)
	if err != nil {
		return 0, sqlitefile.TranslateOpen(err)
	}
	if tables > 0 {
		return 0, store.ErrForeign
	}
	return 0, nil
}
