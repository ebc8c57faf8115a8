// Package postgres connects to PostgreSQL: it reads URLs, begins sessions with the settings that our SQL relies
// on, keeps credentials out of errors, and translates errors into those of a store. It knows no tables.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connectTimeout is how long connecting to one host may take: the next host is tried within the time of
// a look-up.
const connectTimeout = time.Second

// Config reads a URL. Of several hosts, the first that accepts writes is used, unless the URL says
// otherwise.
func Config(path string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(path)
	if err != nil {
		return nil, unreadable(path) // the error itself contains the password
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

// OpenPool opens a pool of at most that many connections.
func OpenPool(config *pgx.ConnConfig, connections int) *sql.DB {
	pool := sql.OpenDB(discreetConnector{stdlib.GetConnector(*config)})
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool
}

// Connect opens one connection, apart from any pool. onNotification hears what the server notifies.
func Connect(ctx context.Context, config *pgx.ConnConfig, onNotification pgconn.NotificationHandler) (*pgx.Conn, error) {
	config = config.Copy()
	config.OnNotification = onNotification
	conn, err := pgx.ConnectConfig(ctx, config)
	return conn, discreet(err)
}

// connectError says why a connection failed, and repeats nothing of the URL except its host. The errors of pgx and
// of the server name the user.
type connectError struct {
	text  string
	cause error
}

func (e *connectError) Error() string { return e.text }
func (e *connectError) Unwrap() error { return e.cause }

// discreetConnector makes connections whose failures are connectErrors.
type discreetConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c discreetConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return conn, discreet(err)
}

// discreet makes a connectError of a failure to connect.
func discreet(err error) error {
	connecting, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return err
	}
	config := connecting.Config
	d := describer{hidden: []string{config.User, config.Password}, allowed: []string{config.Host, config.Database}}
	for _, other := range config.Fallbacks {
		d.allowed = append(d.allowed, other.Host)
	}
	return &connectError{text: d.describe(connecting.Unwrap()), cause: err}
}

// describer describes an error without naming a user or a password.
type describer struct {
	hidden  []string
	allowed []string // even if they contain the user's name
}

// describe says what went wrong with each host that was tried.
func (d describer) describe(err error) string {
	if several, ok := err.(interface{ Unwrap() []error }); ok { // but not those that it wraps further down
		var texts []string
		for _, one := range several.Unwrap() {
			if text := d.describe(one); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		return strings.Join(texts, "; ")
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return d.server(pgErr)
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error() // it names the address and nothing else of the URL
	}
	return d.shown(err.Error())
}

// shown returns a text unless it repeats something hidden.
func (d describer) shown(text string) string {
	rest := text
	for _, part := range d.allowed {
		rest = strings.ReplaceAll(rest, part, "")
	}
	for _, secret := range d.hidden {
		if holdsWord(rest, secret) {
			return "the connection failed (the reason repeats a part of the URL, and is not shown)"
		}
	}
	return text
}

// holdsWord reports whether a text contains a word, and not only as part of a longer one.
func holdsWord(text, word string) bool {
	if word == "" {
		return false
	}
	isPart := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for {
		before, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		next, _ := utf8.DecodeRuneInString(after)
		if !isPart(last) && !isPart(next) {
			return true
		}
		text = after
	}
}

// refusals are the codes of errors with which a server refuses a connection and names the user.
var refusals = map[string]string{
	"28P01": "the server refused the password",
	"28000": "the server does not let this user in: check that the role exists and may log in, and that pg_hba.conf allows it from here",
	"3D000": "the server has no such database",
	"42501": "the user may not connect to this database",
	"53300": "the server, the database or the role allows no more connections",
}

func (d describer) server(e *pgconn.PgError) string {
	text, known := refusals[e.Code]
	if !known {
		text = d.shown(e.Message)
	}
	return text + " (SQLSTATE " + e.Code + ")"
}
