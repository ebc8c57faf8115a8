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
	"github.com/pressly/goose/v3/lock"

	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/postgres"
	"apikeyd/store/sqlitefile"
)

//go:embed migrations
var migrations embed.FS

// applicationID marks a SQLite file as ours: "apik".
const applicationID = 0x6170696b

// ErrUnfinished says that a move into a database did not reach its end.
var ErrUnfinished = errors.New("apikeyd migrate-store into this database is not finished; run it again to its end")

// Schema is the schema of one kind of database: its migrations, and how to find out which were made.
type Schema struct {
	provider   func(*sql.DB) (*goose.Provider, error)
	version    func(context.Context, *sql.DB) (int64, error) // 0 for an empty database
	unfinished string                                        // a query: whether a move into the database is unfinished
	empty      error                                         // the error if an empty database is opened as it is
}

// SchemaOf returns the schema of the kind of database that a name stands for.
func SchemaOf(name string) Schema {
	if dbname.IsPostgres(name) {
		return Schema{
			provider: postgresProvider, version: postgresVersion, empty: store.ErrMissing,
			unfinished: `SELECT to_regclass('apikeyd_move') IS NOT NULL`,
		}
	}
	return Schema{
		provider: sqliteProvider, version: sqliteVersion, empty: store.ErrNotMigrated,
		unfinished: `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'apikeyd_move')`,
	}
}

// Versions returns a database's version, 0 for an empty one, and the version that this program needs. It refuses a
// database that is not ours.
func (s Schema) Versions(ctx context.Context, pool *sql.DB) (current, target int64, err error) {
	provider, err := s.provider(pool)
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources()
	target = sources[len(sources)-1].Version
	unfinished, err := s.IsUnfinished(ctx, pool)
	if err == nil && unfinished {
		err = ErrUnfinished
	}
	if err == nil {
		current, err = s.version(ctx, pool)
	}
	return current, target, err
}

// IsUnfinished reports whether the table of an unfinished move is in a database.
func (s Schema) IsUnfinished(ctx context.Context, pool *sql.DB) (unfinished bool, err error) {
	err = pool.QueryRowContext(ctx, s.unfinished).Scan(&unfinished)
	return unfinished, sqlitefile.TranslateOpen(err)
}

// Migrate brings a database up to date. It logs that first, because with much data it can take minutes.
func (s Schema) Migrate(ctx context.Context, pool *sql.DB, log *slog.Logger) error {
	provider, err := s.provider(pool)
	if err != nil {
		return err
	}
	current, target, err := s.Versions(ctx, pool)
	if err != nil && !errors.Is(err, ErrUnfinished) { // the move itself prepares its target
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

// check refuses a database that is not ours, too new or, unless it may be migrated, too old.
// It only reads: a refused database stays as it was.
func (s Schema) check(ctx context.Context, pool *sql.DB, mayMigrate bool) error {
	current, target, err := s.Versions(ctx, pool)
	switch {
	case err != nil:
		return err
	case current > target:
		return store.ErrTooNew
	case current == target, mayMigrate:
		return nil
	case current == 0:
		return s.empty
	}
	return store.ErrNotMigrated
}

func sqliteProvider(pool *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, pool, files, goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(goose.NewGoMigration(5, &goose.GoFunc{RunTx: chainEvents}, nil)))
}

// sqliteVersion finds the version of the last migration. The provider's own GetVersions would create its table.
func sqliteVersion(ctx context.Context, pool *sql.DB) (int64, error) {
	var mark, tables int
	if err := pool.QueryRowContext(ctx, "PRAGMA application_id").Scan(&mark); err != nil {
		return 0, sqlitefile.TranslateOpen(err)
	}
	if mark == applicationID {
		versions, err := database.NewStore(database.DialectSQLite3, goose.DefaultTablename)
		if err != nil {
			return 0, err
		}
		return versions.GetLatestVersion(ctx, pool)
	}
	// The table of versions comes first, in a transaction of its own: a crash right after it
	// leaves nothing else.
	err := pool.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema
		WHERE name NOT IN ($1, 'sqlite_sequence')`, goose.DefaultTablename).Scan(&tables)
	if err != nil {
		return 0, sqlitefile.TranslateOpen(err)
	}
	if tables > 0 {
		return 0, store.ErrForeign
	}
	return 0, nil
}

// postgresProvider migrates one node after another.
func postgresProvider(pool *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		return nil, err
	}
	versions, err := database.NewStore(database.DialectPostgres, postgres.VersionTable)
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectCustom, pool, files,
		goose.WithSessionLocker(locker), goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))
}

func postgresVersion(ctx context.Context, pool *sql.DB) (int64, error) {
	var ours, keys bool
	err := pool.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL, to_regclass('api_keys') IS NOT NULL`,
		postgres.VersionTable).Scan(&ours, &keys)
	switch {
	case err != nil:
		return 0, err
	case !ours && keys:
		return 0, store.ErrForeign
	case !ours:
		return 0, nil
	}
	versions, err := database.NewStore(database.DialectPostgres, postgres.VersionTable)
	if err != nil {
		return 0, err
	}
	return versions.GetLatestVersion(ctx, pool)
}
