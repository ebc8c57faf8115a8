package postgres

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"
)

const sslModes = "disable, allow, prefer, require, verify-ca or verify-full, in lower case"

// unreadable says why a URL of PostgreSQL cannot be read, and repeats no value from it.
func unreadable(path string) error {
	parsed, err := url.Parse(path)
	if err != nil {
		return errors.New("the URL of PostgreSQL cannot be read; it is postgres://USER:PASSWORD@HOST:PORT/DATABASE, " +
			"with special characters percent-encoded")
	}
	switch name := badParameter(*parsed); {
	case isReadable(*parsed, parsed.Query()):
		return errors.New("the URL of PostgreSQL cannot be read: its parameters are NAME=VALUE, joined by &; " +
			"within a value write %3D for =, %26 for & and %20 for a blank")
	case name == "sslmode":
		return errors.New("the URL of PostgreSQL cannot be used: sslmode must be " + sslModes)
	case name != "":
		return fmt.Errorf("the URL of PostgreSQL cannot be used: its parameter %s has no value that it can have, "+
			"or names a file that cannot be read", name)
	case isReadable(*parsed, with(parsed.Query(), "sslmode", "disable")):
		return errors.New("the environment variable PGSSLMODE, or sslmode in a service file, must be " + sslModes)
	}
	return errors.New("the URL of PostgreSQL cannot be read; it is postgres://USER:PASSWORD@HOST:PORT/DATABASE")
}

// badParameter returns the name of a parameter without which the URL can be read, or nothing.
func badParameter(u url.URL) string {
	query := u.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if isReadable(u, with(query, name, "")) {
			return name
		}
	}
	return ""
}

// with returns a query with a parameter set, or without it.
func with(query url.Values, name, value string) url.Values {
	query = maps.Clone(query)
	query.Del(name)
	if value != "" {
		query.Set(name, value)
	}
	return query
}

func isReadable(u url.URL, query url.Values) bool {
	u.RawQuery = query.Encode()
	_, err := pgx.ParseConfig(u.String())
	return err == nil
}
