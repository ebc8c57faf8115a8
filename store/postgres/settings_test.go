//go:build full

package postgres_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/postgres"
	"apikeyd/store/sqlstore"
)

// hostile are settings that would break our SQL or the driver.
var hostile = map[string]string{
	"client_encoding": "LATIN1", "standard_conforming_strings": "off", "DateStyle": "German", "TimeZone": "Asia/Kathmandu",
	"default_transaction_isolation": "serializable", "default_transaction_deferrable": "on",
	"bytea_output": "escape", "extra_float_digits": "-10", "synchronous_commit": "off",
	"session_replication_role": "replica", "search_path": "nowhere",
}

// Whatever a role, a database or the URL sets for all sessions, ours have our settings.
func TestForeignSettings(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	set := func(t *testing.T, prefix, database string) {
		t.Helper()
		for name, value := range hostile {
			cluster.SQL(t, database, prefix+" SET "+name+" = '"+value+"'")
		}
	}
	for name, prepare := range map[string]func(t *testing.T, database, address string) string{
		"database": func(t *testing.T, database, address string) string {
			set(t, "ALTER DATABASE "+nameOf(t, database), database)
			return address
		},
		"role": func(t *testing.T, database, address string) string {
			cluster.SQL(t, database, "CREATE ROLE hostile SUPERUSER LOGIN")
			set(t, "ALTER ROLE hostile", database)
			return strings.Replace(address, "//postgres@", "//hostile@", 1)
		},
		"options": func(_ *testing.T, _, address string) string {
			return address + "&options=-c%20client_encoding%3DLATIN1%20-c%20bytea_output%3Descape%20-c%20DateStyle%3DGerman"
		},
		"URL": func(_ *testing.T, _, address string) string {
			return address + "&client_encoding=LATIN1&datestyle=German&standard_conforming_strings=off"
		},
	} {
		for mode, parameter := range map[string]string{"prepared": "", "exec": "&default_query_exec_mode=exec"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				database := cluster.Database(t)
				fresh := databasetest.OpenWith(t, sqlstore.Options{Path: database, Node: "before", Serve: true})
				databasetest.Create(t, fresh, "before")
				address := prepare(t, database, database) + parameter
				wantWorking(t, address)
				if name == "role" {
					cluster.SQL(t, database, "DROP ROLE hostile")
				}
			})
		}
	}
}

func nameOf(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	must(t, err)
	return strings.TrimPrefix(parsed.Path, "/")
}

// wantWorking checks a store that has one key, whose name is "before".
func wantWorking(t *testing.T, address string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: address, Node: "after", Serve: true})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	databasetest.WantKey(t, db, "before")
	const name = `Zoë's ключ 鍵 \ ''`
	made := databasetest.Create(t, db, name)
	again, _ := databasetest.Draft(t, name)
	wantErr(t, db.CreateKey(t.Context(), databasetest.Operator, again), store.ErrNameTaken)
	got, err := db.Key(t.Context(), store.ByName("acme", name))
	must(t, err)
	if got.ID != made.ID || got.Name != name || !got.CreatedAt.Equal(made.CreatedAt.Truncate(time.Millisecond)) {
		t.Errorf("the key is %+v, want %+v", got, made)
	}
	page, err := db.Keys(t.Context(), store.Query{Limit: 10, NameContains: "ключ"})
	must(t, err)
	if len(page.Keys) != 1 || page.Keys[0].Name != name {
		t.Errorf("found %+v", page.Keys)
	}
	_, err = db.Budget().TakeCalls(t.Context(), store.Subject{Key: made.ID}, apikey.RateLimit{Limit: 10, Window: time.Second}, 1)
	must(t, err)
	reports, err := db.VerifyAudit(t.Context())
	must(t, err)
	for _, report := range reports {
		if len(report.Faults) > 0 {
			t.Errorf("chain %s: %v", report.Head.Chain, report.Faults)
		}
	}
}

// The tables are found in whichever schema they are, and other tables with their names are not mistaken for
// them. A new, empty service never replaces an existing one.
func TestSearchPath(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	address := cluster.Database(t)
	database := nameOf(t, address)
	databasetest.Create(t, databasetest.OpenWith(t, sqlstore.Options{Path: address, Node: "first", Serve: true}), "before")
	cluster.SQL(t, address, "CREATE SCHEMA other")
	cluster.SQL(t, address, "CREATE TABLE other.api_keys (id INT)")
	cluster.SQL(t, address, "ALTER DATABASE "+database+" SET search_path = other, public")
	wantWorking(t, address)

	// Another schema, named in the URL, is another service.
	cluster.SQL(t, address, "CREATE SCHEMA second")
	second := databasetest.OpenWith(t, sqlstore.Options{Path: address + "&search_path=second", Node: "second", Serve: true})
	if page, err := second.Keys(t.Context(), store.Query{Limit: 1}); err != nil || page.Total != 0 {
		t.Errorf("another schema has %d keys, %v", page.Total, err)
	}
	cluster.SQL(t, address, "ALTER DATABASE "+database+" SET search_path = other")
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: address, Node: "third", Serve: true})
	wantErr(t, err, postgres.ErrSchemas)
	if text := err.Error(); !strings.Contains(text, "public") || !strings.Contains(text, "second") {
		t.Error("the error does not name the schemas:", text)
	}
	named := databasetest.OpenWith(t, sqlstore.Options{Path: address + "&search_path=public", Node: "third", Serve: true})
	databasetest.WantKey(t, named, "before")
}

// A database that cannot store every name is refused with a clear message.
func TestEncodings(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	for _, encoding := range []string{"LATIN1", "EUC_JP", "SQL_ASCII", "WIN1252"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			name := "encoded_" + strings.ToLower(encoding)
			cluster.SQL(t, "postgres", "CREATE DATABASE "+name+" ENCODING '"+encoding+"' LOCALE 'C' TEMPLATE template0")
			for _, serve := range []bool{true, false} {
				_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: cluster.URL(name), Node: "n", Serve: serve})
				wantErr(t, err, postgres.ErrEncoding)
				if !strings.HasSuffix(err.Error(), "(it is "+encoding+")") || strings.Contains(err.Error(), "connect") {
					t.Error(err)
				}
			}
		})
	}
}
