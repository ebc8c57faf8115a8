package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// sixEvents leaves a log of six events at path, and returns a connection past the store.
func sixEvents(t *testing.T) (path string, head store.Mark) {
	t.Helper()
	path = databasetest.NewPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	acting, _ := databasetest.Draft(t, "acting")
	acting.Scopes = apikey.Scopes{apikey.ScopeAdmin}
	must(t, db.CreateKey(t.Context(), databasetest.Operator, acting))
	actor := store.Actor{Key: acting.ID, Secret: acting.SecretHash, Via: "http", Address: "192.0.2.1", RequestID: "R"}
	for i := range 4 {
		key, _ := databasetest.Draft(t, fmt.Sprint(i))
		must(t, db.CreateKey(t.Context(), actor, key))
	}
	name := "renamed"
	must(t, second(db.UpdateKey(t.Context(), actor, store.ByName("acme", "0"), apikey.Change{Name: &name})))
	head = wantWhole(t, db, 6).Head
	must(t, db.Close())
	connection := databasetest.Raw(t, path)
	rows, err := connection.QueryContext(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
	must(t, err)
	defer rows.Close()
	var triggers []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		triggers = append(triggers, name)
	}
	must(t, rows.Err())
	if len(triggers) == 0 {
		t.Error("nothing holds the log append-only")
	}
	for _, trigger := range triggers {
		databasetest.Execute(t, connection, `DROP TRIGGER `+trigger)
	}
	must(t, connection.Close())
	return path, head
}

// copyOf copies a closed database.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	copied := databasetest.NewPath(t)
	must(t, os.WriteFile(copied, content, 0o600))
	return copied
}

// wantWhole fails the test unless there is one sound chain with so many events.
func wantWhole(t *testing.T, db *sqlstore.DB, events int64, expected ...store.Mark) store.ChainReport {
	t.Helper()
	reports, err := db.VerifyAudit(t.Context(), expected...)
	must(t, err)
	if len(reports) != 1 || len(reports[0].Faults) > 0 || reports[0].Events != events {
		t.Fatalf("want one whole chain of %d events; the report is %+v", events, reports)
	}
	return reports[0]
}

// faultsAt returns what verification finds.
func faultsAt(t *testing.T, path string, expected ...store.Mark) string {
	t.Helper()
	reports, err := databasetest.OpenBeside(t, path).VerifyAudit(t.Context(), expected...)
	must(t, err)
	var faults []string
	for _, report := range reports {
		faults = append(faults, report.Faults...)
	}
	return strings.Join(faults, "\n")
}

func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	six, _ := sixEvents(t)
	const row = `SELECT x'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF', at, action, key_id, owner, name, changes, actor_id, via, address, request_id, chain`
	tests := map[string]struct{ statement, want string }{
		"an event removed":            {`DELETE FROM audit_events WHERE seq = 3`, "event 3 is missing"},
		"several removed":             {`DELETE FROM audit_events WHERE seq IN (3, 4)`, "events 3 to 4 are missing"},
		"the first removed":           {`DELETE FROM audit_events WHERE seq = 1`, "event 1 is missing"},
		"the last removed":            {`DELETE FROM audit_events WHERE seq = 6`, "events 6 to 6 are missing at the end"},
		"the tail cut":                {`DELETE FROM audit_events WHERE seq > 2`, "events 3 to 6 are missing at the end"},
		"all removed":                 {`DELETE FROM audit_events`, "events 1 to 6 are missing at the end"},
		"one removed, the rest moved": {`DELETE FROM audit_events WHERE seq = 3; UPDATE audit_events SET seq = seq - 1 WHERE seq > 3; UPDATE audit_chains SET seq = 5`, "event 3 ("},
		"two that changed places": {`UPDATE audit_events SET seq = 7 - seq WHERE seq IN (3, 4)`,
			"event 3 ("},
		"two that changed ids": {`CREATE TABLE ids AS SELECT id, seq FROM audit_events WHERE seq IN (3, 4);
			UPDATE audit_events SET id = zeroblob(16) WHERE seq = 3;
			UPDATE audit_events SET id = (SELECT id FROM ids WHERE seq = 3) WHERE seq = 4;
			UPDATE audit_events SET id = (SELECT id FROM ids WHERE seq = 4) WHERE seq = 3`, "missing"},
		"one inserted at the end": {`INSERT INTO audit_events ` + row + `, 7, hash FROM audit_events WHERE seq = 6`,
			"event 7 ("},
		"one inserted in between": {`INSERT INTO audit_events ` + row + `, 3, hash FROM audit_events WHERE seq = 3`,
			"event 3 ("},
		"one in a chain of its own": {`UPDATE audit_events SET chain = 'other' WHERE seq = 6`, "missing"},
		"the head set back":         {`UPDATE audit_chains SET seq = 5, hash = (SELECT hash FROM audit_events WHERE seq = 5)`, "the head is event 5, and not the last one, 6"},
		"the head's hash":           {`UPDATE audit_chains SET hash = zeroblob(32)`, "event 6, the last, does not have the hash of the head"},
		"the head removed":          {`DELETE FROM audit_chains`, "the head is event 0, and not the last one, 6"},
		"all removed, and the head": {`DELETE FROM audit_events; DELETE FROM audit_chains`, "there is no event, and no head"},
		"the first removed, with an anchor": {`DELETE FROM audit_events WHERE seq < 3;
			INSERT INTO audit_anchors VALUES ('main', zeroblob(16), 2, zeroblob(32), 0)`, "event 3 ("},
		"an anchor alone": {`INSERT INTO audit_anchors SELECT chain, id, seq, hash, 0 FROM audit_events WHERE seq = 3`,
			"event 1 ("},
		"an anchor past the end": {`INSERT INTO audit_anchors SELECT chain, id, 9, hash, 0 FROM audit_events WHERE seq = 6`,
			"stands before the anchor"},
	}
	// Every column of an event.
	for column, value := range map[string]string{
		"at": `at + 1`, "action": `'revoke'`, "key_id": `randomblob(16)`, "owner": `'acm'`, "name": `name || ' '`,
		"changes": `replace(changes, ',', ', ')`, "actor_id": `NULL`, "via": `'leak report'`, "address": `''`,
		"request_id": `'R' || char(0)`, "hash": `randomblob(32)`,
	} {
		tests["altered "+column] = struct{ statement, want string }{
			`UPDATE audit_events SET ` + column + ` = ` + value + ` WHERE seq = 4`, "event 4 ("}
	}
	// Moving text from one field to the next changes the hash.
	tests["a letter that changed fields"] = struct{ statement, want string }{
		`UPDATE audit_events SET via = via || '1', address = substr(address, 2) WHERE seq = 4`, "event 4 ("}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := copyOf(t, six)
			databasetest.Execute(t, databasetest.Raw(t, path), tt.statement)
			if got := faultsAt(t, path); !strings.Contains(got, tt.want) {
				t.Errorf("verification finds %q, want %q", got, tt.want)
			}
		})
	}
}

// Values that the schema refuses, in a rebuilt table, are found and cause no crash.
func TestMalformedEventsAreFound(t *testing.T) {
	t.Parallel()
	six, _ := sixEvents(t)
	for name, statement := range map[string]string{
		"a long id":      `UPDATE audit_events SET id = id || x'00' WHERE seq = 4`,
		"a long key":     `UPDATE audit_events SET key_id = key_id || x'00' WHERE seq = 4`,
		"a short hash":   `UPDATE audit_events SET hash = x'' WHERE seq = 4`,
		"nobody":         `UPDATE audit_events SET actor_id = zeroblob(16) WHERE seq = 4`,
		"a time of text": `UPDATE audit_events SET at = 'yesterday' WHERE seq = 4`,
		"no name":        `UPDATE audit_events SET name = NULL WHERE seq = 4`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := copyOf(t, six)
			connection := databasetest.Raw(t, path)
			databasetest.Execute(t, connection, `CREATE TABLE loose AS SELECT * FROM audit_events; DROP TABLE audit_events;
				ALTER TABLE loose RENAME TO audit_events`)
			databasetest.Execute(t, connection, statement)
			if got := faultsAt(t, path); !strings.Contains(got, "cannot be read") {
				t.Errorf("verification finds %q", got)
			}
		})
	}
}

// A forgery without traces in the file is found with a head that was recorded elsewhere.
func TestOutsideRecord(t *testing.T) {
	t.Parallel()
	six, head := sixEvents(t)
	for name, tt := range map[string]struct{ statement, want string }{
		"the tail cut, with its head": {`DELETE FROM audit_events WHERE seq = 6;
			UPDATE audit_chains SET seq = 5, hash = (SELECT hash FROM audit_events WHERE seq = 5)`,
			"event 6 is expected, and the chain ends at 5"},
		"everything removed": {`DELETE FROM audit_events; UPDATE audit_chains SET seq = 0, hash = zeroblob(32)`,
			"event 6 is expected, and the chain ends at 0"},
		"another log": {`DELETE FROM audit_events WHERE seq > 1;
			UPDATE audit_events SET seq = 6;
			INSERT INTO audit_anchors VALUES ('main', zeroblob(16), 6, randomblob(32), 0);
			DELETE FROM audit_events; UPDATE audit_chains SET hash = (SELECT hash FROM audit_anchors)`,
			"and not the one that is expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := copyOf(t, six)
			databasetest.Execute(t, databasetest.Raw(t, path), tt.statement)
			if got := faultsAt(t, path); got != "" {
				t.Fatalf("without a record it finds %q: the test shows nothing", got)
			}
			if got := faultsAt(t, path, head); !strings.Contains(got, tt.want) {
				t.Errorf("verification finds %q, want %q", got, tt.want)
			}
		})
	}
}

// Two processes take turns, each with many callers, and the server restarts in between: there is one chain, in the
// order of its ids.
func TestChainOfManyWriters(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	total := int64(0)
	var heads []store.Mark
	for round := range 3 {
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
		must(t, err)
		beside, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
		must(t, err)
		for turn := range 2 {
			var all sync.WaitGroup
			for i := range 16 {
				all.Go(func() {
					key, _ := databasetest.Draft(t, fmt.Sprint(round, turn, " server ", i))
					if err := db.CreateKey(t.Context(), databasetest.Operator, key); err != nil {
						t.Error(err)
					}
				})
			}
			if turn == 0 { // at the same time as the server, whose next turn comes afterwards
				databasetest.Create(t, beside, fmt.Sprint(round, " beside"))
			}
			all.Wait()
		}
		total += 2*16 + 1
		heads = append(heads, wantWhole(t, db, total, heads...).Head)
		must(t, errors.Join(beside.Close(), db.Close()))
	}
}

// The ids of events have the order of their chain, even if the clock is set back between two
// starts.
func TestEventsAfterTheClockWentBack(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	now := time.Now()
	for _, name := range []string{"first", "second", "third"} {
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true, Now: func() time.Time { return now }})
		must(t, err)
		databasetest.Create(t, db, name)
		events, err := db.AuditEvents(t.Context(), store.EventQuery{Limit: 1})
		must(t, err)
		if events[0].Name != name {
			t.Errorf("the newest event is about %s, want %s", events[0].Name, name)
		}
		must(t, db.Close())
		now = now.Add(-24 * time.Hour)
	}
	wantWhole(t, databasetest.Open(t, path), 3)
}

// Events that are older than chains are linked, oldest first, and otherwise stay as they
// were.
func TestOldEventsAreChained(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	keys := firstSchema(t, path)
	connection := databasetest.Raw(t, path)
	databasetest.Execute(t, connection, `BEGIN`) // one commit for all
	for i := range 2500 {                        // more than are read at once
		id := apikey.NewID()
		_, err := connection.ExecContext(t.Context(), `INSERT INTO audit_events VALUES
			($1, $2, 'update', $3, 'acme', 'n', 'scopes name', $4, 'http', 'R')`, id[:], i, keys[0].ID[:], keys[1].ID[:])
		must(t, err)
	}
	databasetest.Execute(t, connection, `COMMIT`)
	db := databasetest.Open(t, path)
	head := wantWhole(t, db, 2501).Head
	events, err := db.AuditEvents(t.Context(), store.EventQuery{Limit: 1})
	must(t, err)
	want := []store.Event{{ID: events[0].ID, At: time.UnixMilli(2499).UTC(), Action: "update", Key: keys[0].ID, Owner: "acme",
		Name: "n", Changes: apikey.Differences{{Field: "name"}, {Field: "scopes"}},
		Actor: keys[1].ID, Via: "http", RequestID: "R", Mark: head}}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("the newest event differs (-want +got):\n%s", diff)
	}
	databasetest.Create(t, db, "new")
	wantWhole(t, db, 2502, head)
}

// Removing and adding events at the same time leaves one sound chain.
func TestPruneWhileWriting(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	start := time.Now()
	db := databasetest.OpenWith(t, sqlstore.Options{Path: path, Serve: true})
	databasetest.CreateMany(t, db, "old", 300)
	between := time.Now().Truncate(time.Millisecond).Add(time.Millisecond)
	time.Sleep(2 * time.Millisecond)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { databasetest.Create(t, db, fmt.Sprint("new ", i)) })
	}
	removed, err := db.PruneEvents(t.Context(), between)
	all.Wait()
	must(t, err)
	report := wantWhole(t, db, 100)
	if removed != 300 || report.Anchor.Seq != 300 || report.AnchoredAt.Before(start.Truncate(time.Millisecond)) {
		t.Errorf("%d were removed; the report is %+v", removed, report)
	}
	if _, err := databasetest.Raw(t, path).ExecContext(t.Context(), `DELETE FROM audit_events WHERE seq = 301`); err == nil {
		t.Error("an event after the anchor could be removed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := db.PruneEvents(ctx, time.Now().Add(time.Hour)); err == nil || n != 0 {
		t.Errorf("a cancelled call removed %d (%v)", n, err)
	}
	wantWhole(t, db, 100)
}
