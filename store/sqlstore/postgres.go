package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"apikeyd/store"
)

const (
	// versionTable keeps the version of the schema. Other programs may use goose too.
	versionTable = "apikeyd_schema"
	// connectTimeout is how long a connection to one host may take to be made. The next host
	// is tried within the time of a look-up.
	connectTimeout = time.Second
	// pgPoints and pgLists are how many connections read for one node: for what is short, such
	// as look-ups and probes, and for what may take long, such as searches.
	pgPoints = 6
	pgLists  = 4
)

// postgresConfig reads a URL. Where it names several hosts, the one is looked for that can
// be written, unless it says otherwise.
func postgresConfig(path string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(path)
	if err != nil {
		return nil, unreadable(path) // the error itself holds the password
	}
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "apikeyd"
	}
	fixSettings(config)
	return config, nil
}

func openPostgresPool(config *pgx.ConnConfig, connections int) *sql.DB {
	pool := sql.OpenDB(discreetConnector{stdlib.GetConnector(*config)})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool
}

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
	versions, err := database.NewStore(database.DialectPostgres, versionTable)
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
		versionTable).Scan(&ours, &keys)
	switch {
	case err != nil:
		return 0, 0, err
	case !ours && keys:
		return 0, 0, store.ErrForeign
	case !ours:
		return 0, target, nil
	}
	versions, err := database.NewStore(database.DialectPostgres, versionTable)
	if err != nil {
		return 0, 0, err
	}
	current, err = versions.GetLatestVersion(ctx, pool)
	return current, target, err
}

// translatePostgres turns an error of PostgreSQL, or of the way there, into one of the
// store's.
func translatePostgres(err error) error {
	var said *pgconn.PgError
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case errors.As(err, &said):
		return translateCode(said, err)
	case isConnectionError(err):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// translateCode goes by SQLSTATE (PostgreSQL's documentation, appendix A).
func translateCode(said *pgconn.PgError, err error) error {
	if said.Code == "23505" && said.ConstraintName == "api_keys_name" {
		return fmt.Errorf("%w: %w", store.ErrNameTaken, err)
	}
	if isForeignStatement(said) {
		return fmt.Errorf("%w: a statement was prepared in another session; behind a pooler in transaction mode, such as "+
			"PgBouncer, add default_query_exec_mode=exec to the URL of the database: %w", store.ErrUnavailable, err)
	}
	switch said.Code {
	case "XX001", "XX002":
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	case "25006", "25P02", "25P03", "55P03", "57014":
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if inClass(said, "08", "28", "40", "53", "57", "58") {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// isForeignStatement reports whether a prepared statement was not there, or there already:
// a pooler gave us another session than the one in which we prepared it.
func isForeignStatement(said *pgconn.PgError) bool {
	return said.Code == "26000" || said.Code == "42P05"
}

// inClass reports whether an error is of one of these classes, the first two characters of
// its code. A pooler may send no code.
func inClass(said *pgconn.PgError, classes ...string) bool {
	return len(said.Code) == 5 && slices.Contains(classes, said.Code[:2])
}

// isConnectionError reports whether an error came up on the way to PostgreSQL.
func isConnectionError(err error) bool {
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) ||
		errors.Is(err, pgconn.ErrConnClosed)
}
