//go:build full

package postgres_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store/migratestore"
	"apikeyd/store/sqlstore"
)

// Whatever prevents a connection, the error says why and at which host. It contains neither user nor password,
// although the errors of pgx and of the server do.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	sql := func(command string) string { return cluster.SQL(t, "postgres", command) }
	hba := sql(`SHOW hba_file`)
	sql(`COPY (VALUES ('host all postgres 127.0.0.1/32 trust'), ('host all hush_trusted 127.0.0.1/32 trust'),
		('host all hush_none 127.0.0.1/32 trust'), ('host all hush_full 127.0.0.1/32 trust'),
		('host all hush_nologin 127.0.0.1/32 trust'), ('host all hush_scram 127.0.0.1/32 scram-sha-256')) TO '` + hba + `'`)
	sql(`SELECT pg_reload_conf()`)
	sql(`CREATE ROLE hush_scram LOGIN PASSWORD 'right'`)
	sql(`CREATE ROLE hush_full LOGIN CONNECTION LIMIT 0`)
	sql(`CREATE ROLE hush_nologin NOLOGIN`)
	sql(`CREATE ROLE hush_trusted LOGIN`)
	sql(`CREATE DATABASE closed`)
	sql(`REVOKE CONNECT ON DATABASE closed FROM PUBLIC`)

	const password = "sEcReT"
	for user, tt := range map[string]struct{ database, host, want string }{
		"hush_scram":   {"postgres", cluster.Address, "the server refused the password (SQLSTATE 28P01)"},
		"hush_none":    {"postgres", cluster.Address, "the server does not let this user in: check that the role exists and may log in, and that pg_hba.conf allows it from here (SQLSTATE 28000)"},
		"hush_nologin": {"postgres", cluster.Address, "the server does not let this user in: check that the role exists and may log in, and that pg_hba.conf allows it from here (SQLSTATE 28000)"},
		"hush_full":    {"postgres", cluster.Address, "the server, the database or the role allows no more connections (SQLSTATE 53300)"},
		"hush_trusted": {"closed", cluster.Address, "the user may not connect to this database (SQLSTATE 42501)"},
		"postgres":     {"nothing", cluster.Address, "the server has no such database (SQLSTATE 3D000)"},
		"hush_hba":     {"postgres", cluster.Address, "the server does not let this user in: check that the role exists and may log in, and that pg_hba.conf allows it from here (SQLSTATE 28000)"},
		"hush_away":    {"postgres", "127.0.0.1:1", "connection refused"},
		"hush_both":    {"postgres", "127.0.0.1:1," + cluster.Address, "connection refused; the server does not let"},
	} {
		var log bytes.Buffer
		url := "postgres://" + user + ":" + password + "@" + tt.host + "/" + tt.database + "?sslmode=disable"
		_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: url, Node: "n", Serve: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
		_, moving := migratestore.Move(t.Context(), migratestore.Options{From: url, To: databasetest.NewPath(t)})
		for _, err := range []error{err, moving} {
			if err == nil || !strings.Contains(err.Error(), "database postgres://"+tt.host+"/"+tt.database+": ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: error is %v, want %q", user, err, tt.want)
				continue
			}
			if text := err.Error() + log.String(); strings.Contains(text, password) || strings.Contains(text, "hush") {
				t.Errorf("%s: the error or the log holds a part of the URL: %s", user, text)
			}
		}
	}
}
