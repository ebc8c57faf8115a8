package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// VersionTable keeps the version of the schema. Other programs may use goose in the same database.
const VersionTable = "apikeyd_schema"

// setting is a setting of a session that our SQL or the driver relies on. A role, a
// database, PGOPTIONS and the URL can each set another value.
type setting struct{ name, value string }

// startSettings are sent when a connection is made. PgBouncer tracks these for each client, and refuses others.
var startSettings = []setting{
	{"client_encoding", "UTF8"},
	{"standard_conforming_strings", "on"},
	{"DateStyle", "ISO, MDY"},
	{"TimeZone", "UTC"},
}

// sessionSettings are set once there is a connection.
var sessionSettings = []setting{
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"bytea_output", "hex"},
	{"extra_float_digits", "3"},
	{"session_replication_role", "origin"}, // else the triggers that protect the audit log do not run
}

// ErrEncoding says that a database cannot store every name.
var ErrEncoding = errors.New("its encoding is not UTF8; create another database with " +
	"CREATE DATABASE apikeyd ENCODING 'UTF8' TEMPLATE template0")

// ErrSchemas says that it is not clear which tables are meant.
var ErrSchemas = errors.New("several schemas of this database have tables of apikeyd; " +
	"name one with search_path=SCHEMA in the URL")

// sessionError says why a session cannot be used although there is a connection.
type sessionError struct{ reason error }

func (e *sessionError) Error() string { return e.reason.Error() }
func (e *sessionError) Unwrap() error { return e.reason }

// Explain makes an error of opening a database say what to do, if that is known.
func Explain(err error) error {
	if refused, ok := errors.AsType[*sessionError](err); ok {
		return refused.reason // whichever connection it was
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && isForeignStatement(pgErr) {
		return translateCode(pgErr, err)
	}
	return err
}

// fixSettings has every connection of a configuration begin with our settings.
func fixSettings(config *pgx.ConnConfig) {
	_, pathIsGiven := config.RuntimeParams["search_path"]
	pathIsGiven = pathIsGiven || strings.Contains(config.RuntimeParams["options"], "search_path")
	for _, s := range startSettings {
		// Names of settings ignore case, and of two with one name either may win.
		maps.DeleteFunc(config.RuntimeParams, func(name, _ string) bool { return strings.EqualFold(name, s.name) })
		config.RuntimeParams[s.name] = s.value
	}
	timeout := config.ConnectTimeout
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		ctx, cancel := context.WithTimeout(ctx, max(timeout, time.Second))
		defer cancel()
		if err := beginSession(ctx, conn, pathIsGiven); err != nil {
			return &sessionError{err}
		}
		return nil
	}
}

// ByIndex returns a configuration for statements that find their few rows by an index. PostgreSQL keeps the plan of
// a prepared statement, and plans to read a table from end to end while it is nearly empty: until statistics are
// gathered again, each look-up would read all that was added since. A plan that needs such a read after all counts as
// very dear, and compiling it would take 60 ms.
func ByIndex(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	begin := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := begin(ctx, conn); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `SET enable_seqscan = off; SET jit = off`).ReadAll(); err != nil {
			return &sessionError{err}
		}
		return nil
	}
	return config
}

// beginSession sets what differs from our settings, and checks the result. It is one round trip: a pooler in
// transaction mode may use another session for the next one.
func beginSession(ctx context.Context, conn *pgconn.PgConn, pathIsGiven bool) error {
	results, err := conn.Exec(ctx, sessionText(pathIsGiven)).ReadAll()
	if err != nil {
		return err
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 || len(last.Rows[0]) != 3 {
		return errors.New("PostgreSQL does not report its settings")
	}
	encoding, schemas, wrong := string(last.Rows[0][0]), string(last.Rows[0][1]), string(last.Rows[0][2])
	switch {
	case encoding != "UTF8":
		return fmt.Errorf("%w (it is %s)", ErrEncoding, encoding)
	case schemas != "":
		return fmt.Errorf("%w (%s)", ErrSchemas, schemas)
	case wrong != "":
		return fmt.Errorf("PostgreSQL does not accept our settings of %s", wrong)
	}
	return nil
}

// ourSchema finds the schema of our tables: the one that the session's search path leads to, else, unless that
// path was given, the only schema that has them. It is NULL if there are none yet.
const ourSchema = `SELECT coalesce(
		(SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass('` + VersionTable + `')),
		(SELECT pg_catalog.min(relnamespace) FROM elsewhere HAVING pg_catalog.count(*) = 1)) AS id`

// elsewhere are the tables in all schemas.
const elsewhere = `elsewhere AS (SELECT relnamespace FROM pg_catalog.pg_class
		WHERE relname = '` + VersionTable + `' AND relkind = 'r'
			AND pg_catalog.has_schema_privilege(relnamespace, 'USAGE')`

// sessionText returns the SQL that begins a session. It qualifies all names with pg_catalog, whatever the search
// path. It narrows that path to our schema: else somebody else's table could hide ours.
func sessionText(pathIsGiven bool) string {
	search := elsewhere
	if pathIsGiven {
		search += ` AND false`
	}
	search += `)`
	wanted := make([]string, 0, len(startSettings)+len(sessionSettings))
	for _, s := range slices.Concat(startSettings, sessionSettings) {
		wanted = append(wanted, `('`+s.name+`', '`+s.value+`')`)
	}
	const differ = ` WHERE pg_catalog.current_setting(name) <> value`
	settings := ` FROM (VALUES ` + strings.Join(wanted, ", ") + `) AS wanted (name, value)` + differ
	return `SELECT pg_catalog.set_config(name, value, false)` + settings + `;
	SELECT pg_catalog.set_config('synchronous_commit', 'on', false)
		WHERE pg_catalog.current_setting('synchronous_commit') = 'off';
	WITH ` + search + `, ours AS (` + ourSchema + `)
	SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident(nspname) || ', pg_temp', false)
		FROM ours JOIN pg_catalog.pg_namespace AS n ON n.oid = ours.id;
	WITH ` + search + `, ours AS (` + ourSchema + `)
	SELECT pg_catalog.current_setting('server_encoding'),
		CASE WHEN (SELECT id FROM ours) IS NULL THEN
			(SELECT pg_catalog.string_agg(relnamespace::pg_catalog.regnamespace::text, ', ') FROM elsewhere) END,
		(SELECT pg_catalog.string_agg(name, ', ')` + settings + `)`
}
