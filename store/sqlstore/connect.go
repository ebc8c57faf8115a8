package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// connectError is the failure of a connection in words that repeat nothing of the URL but
// its host: those of pgx name the user, and so do those of the server.
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
	d := describer{hide: []string{connecting.Config.User, connecting.Config.Password}}
	return &connectError{text: d.describe(connecting.Unwrap()), cause: err}
}

// describer puts an error into words without a user or a password.
type describer struct{ hide []string }

// describe goes down to the errors that say something, one for each host that was tried.
func (d describer) describe(err error) string {
	if several, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // each level is looked at
		var texts []string
		for _, one := range several.Unwrap() {
			if text := d.describe(one); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		return strings.Join(texts, "; ")
	}
	switch e := err.(type) { //nolint:errorlint // each level is looked at
	case *pgconn.PgError:
		return d.server(e)
	case *net.OpError: // it names the address
		return d.shown(e.Error())
	}
	if cause := errors.Unwrap(err); cause != nil {
		return d.describe(cause)
	}
	return d.shown(err.Error())
}

// shown is a text, if it repeats nothing of what is hidden.
func (d describer) shown(text string) string {
	for _, secret := range d.hide {
		if secret != "" && strings.Contains(text, secret) {
			return "the connection failed (the reason repeats a part of the URL, and is not shown)"
		}
	}
	return text
}

// refusals are the codes with which a server refuses a connection and names the user.
var refusals = map[string]string{
	"28P01": "the server refused the password",
	"28000": "the server lets this user not in from here: see its pg_hba.conf",
	"3D000": "the server has no such database",
	"42501": "the user may not connect to this database",
	"53300": "the server has too many connections",
}

func (d describer) server(e *pgconn.PgError) string {
	text, known := refusals[e.Code]
	if !known {
		text = d.shown(e.Message)
	}
	return text + " (SQLSTATE " + e.Code + ")"
}
