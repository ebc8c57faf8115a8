package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"apikeyd/store"
	"apikeyd/store/postgres"
)

// migratePostgres brings the schema up to date, one node after the other.
func migratePostgres(ctx context.Context, pool *sql.DB) error {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	provider, err := newPostgresProvider(pool, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema up to date: %w", err)
	}
	return nil
}

func newPostgresProvider(pool *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		return nil, err
	}
	versions, err := database.NewStore(database.DialectPostgres, postgres.VersionTable)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectCustom, pool, files,
		append(options, goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))...)
}

// checkPostgres refuses a database that is not ours, too new, or, unless it may be
// migrated, too old.
func checkPostgres(ctx context.Context, pool *sql.DB, mayMigrate bool) error {
	current, target, err := postgresVersions(ctx, pool)
	switch {
	case err != nil:
		return err
	case current > target:
		return store.ErrTooNew
	case current < target && mayMigrate:
		return nil
	case current == 0:
		return store.ErrMissing
	case current < target:
		return store.ErrNotMigrated
	}
	return nil
}

// postgresVersions returns the version of a database, 0 for an empty one, and the one that
// is ours. It refuses what is not ours.
func postgresVersions(ctx context.Context, pool *sql.DB) (current, target int64, err error) {
	unfinished, err := hasMovePostgres(ctx, pool)
	if err != nil {
		return 0, 0, err
	}
	if unfinished {
		return 0, 0, ErrUnfinished
	}
	provider, err := newPostgresProvider(pool)
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources()
	target = sources[len(sources)-1].Version
	var ours, keys bool
	err = pool.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL, to_regclass('api_keys') IS NOT NULL`,
		postgres.VersionTable).Scan(&ours, &keys)
	switch {
	case err != nil:
		return 0, 0, err
	case !ours && keys:
		return 0, 0, store.ErrForeign
	case !ours:
		return 0, target, nil
	}
	versions, err := database.NewStore(database.DialectPostgres, postgres.VersionTable)
	if err != nil {
		return 0, 0, err
	}
	current, err = versions.GetLatestVersion(ctx, pool)
	return current, target, err
}
