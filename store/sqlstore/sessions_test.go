//go:build full

package sqlstore_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// If the database ends sessions, all at once or by their timeout, no call fails.
func TestEndedSessions(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	address := cluster.Database(t)
	parsed, err := url.Parse(address)
	must(t, err)
	database := strings.TrimPrefix(parsed.Path, "/")
	const ours = " FROM pg_stat_activity WHERE application_name = 'apikeyd' AND datname = "
	for name, end := range map[string]func(t *testing.T, db *sqlstore.DB){
		"terminated": func(t *testing.T, _ *sqlstore.DB) {
			cluster.SQL(t, "postgres", "SELECT pg_terminate_backend(pid)"+ours+"'"+database+"'")
		},
		"idle": func(t *testing.T, _ *sqlstore.DB) {
			eventually(t, func() bool { // all but the node's, which is never idle for so long
				return cluster.SQL(t, "postgres", "SELECT count(*) <= 1"+ours+"'"+database+"'") == "t"
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "idle" {
				cluster.SQL(t, "postgres", "ALTER DATABASE "+database+" SET idle_session_timeout = '1s'")
			}
			db := databasetest.OpenWith(t, sqlstore.Options{Path: address, Node: name, Serve: true})
			key := databasetest.Create(t, db, name)
			busy(t, db, key)
			for round := range 3 {
				end(t, db)
				must(t, db.Ping(t.Context()))
				for what, err := range reads(t, db, key) {
					if err != nil {
						t.Errorf("round %d: %s: %v", round, what, err)
					}
				}
				end(t, db)
				for what, attempt := range attempts(t, db, databasetest.Create(t, db, apikey.NewID().String()+"!")) {
					if what == "UpdateKey" || what == "RotateKey" || what == "EndSecret" || what == "CreateKey" {
						continue // they would conflict with the others
					}
					end(t, db)
					if err := attempt(); err != nil {
						t.Errorf("round %d: %s: %v", round, what, err)
					}
				}
				end(t, db)
				_, err := db.Budget().TakeCalls(t.Context(), store.Subject{Key: key.ID}, apikey.RateLimit{Limit: 100, Window: time.Second}, 1)
				must(t, err)
			}
		})
	}
}

// busy uses all connections of a store at once, so that all of them exist.
func busy(t *testing.T, db *sqlstore.DB, key apikey.Key) {
	t.Helper()
	done := make(chan error)
	for range 32 {
		go func() {
			_, one := db.Key(t.Context(), store.ByID(key.ID))
			_, some := db.Keys(t.Context(), store.Query{Limit: 1, Status: apikey.StatusActive, At: time.Now()})
			if one == nil {
				one = some
			}
			done <- one
		}()
	}
	for range 32 {
		must(t, <-done)
	}
}
