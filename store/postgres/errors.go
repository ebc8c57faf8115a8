package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"apikeyd/store"
)

// Translate turns an error of PostgreSQL, or of the connection to it, into one of the
// store's.
func Translate(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case errors.As(err, &pgErr):
		return translateCode(pgErr, err)
	case isConnectionError(err):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// translateCode translates by SQLSTATE (PostgreSQL's documentation, appendix A).
func translateCode(pgErr *pgconn.PgError, err error) error {
	if pgErr.Code == "23505" && pgErr.ConstraintName == "api_keys_name" {
		return fmt.Errorf("%w: %w", store.ErrNameTaken, err)
	}
	if isForeignStatement(pgErr) {
		return fmt.Errorf("%w: a statement was prepared in another session; behind a pooler in transaction mode, such as "+
			"PgBouncer, add default_query_exec_mode=exec to the URL of the database: %w", store.ErrUnavailable, err)
	}
	switch pgErr.Code {
	case "XX001", "XX002":
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	case "25006", "25P02", "25P03", "55P03", "57014":
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if inClass(pgErr, "08", "28", "40", "53", "57", "58") {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// isForeignStatement reports whether a prepared statement did not exist, or existed already:
// a pooler gave us another session than the one in which it was prepared.
func isForeignStatement(pgErr *pgconn.PgError) bool {
	return pgErr.Code == "26000" || pgErr.Code == "42P05"
}

// inClass reports whether an error is of one of these classes, the first two characters of
// its code. A pooler may send no code.
func inClass(pgErr *pgconn.PgError, classes ...string) bool {
	return len(pgErr.Code) == 5 && slices.Contains(classes, pgErr.Code[:2])
}

// isConnectionError reports whether an error occurred between us and PostgreSQL.
func isConnectionError(err error) bool {
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) ||
		errors.Is(err, pgconn.ErrConnClosed)
}

// SessionEnded reports whether an error says that the session is over: it was idle for too long,
// somebody terminated it, or the server or a pooler in front of it was restarted.
func SessionEnded(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	if _, connected := errors.AsType[*sessionError](err); connecting && !connected {
		return false // refused or unreachable: so would another attempt be
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		if pgErr.Code == "25P03" {
			return false // we were silent in a transaction for too long
		}
		return pgErr.Severity == "FATAL" || pgErr.SeverityUnlocalized == "FATAL" || pgErr.SeverityUnlocalized == "PANIC"
	}
	return isConnectionError(err) && !connecting && !errors.Is(err, context.DeadlineExceeded)
}

// Deadlocked reports whether PostgreSQL has rolled a transaction back because it and another waited for each other.
func Deadlocked(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "40P01"
}

// RolledBack reports whether an error of COMMIT says that nothing was changed. With most errors
// that is unknown: a server that is shut down may have committed.
func RolledBack(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code == "40003" { // statement completion unknown
		return false
	}
	return inClass(pgErr, "40", "23") || pgErr.Code == "25P02"
}
