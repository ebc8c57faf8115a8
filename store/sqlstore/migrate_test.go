package sqlstore_test

import (
	"testing"

	"apikeyd/store/sqlstore"
)

func TestOpeningAgainKeepsEverything(t *testing.T) {
	path := newPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	create(t, db, "ci")
	must(t, db.Close())
	again := open(t, path)
	wantKey(t, again, "ci")
	events, err := again.AuditEvents(t.Context(), 10)
	must(t, err)
	if len(events) != 1 {
		t.Errorf("the audit log has %d events, want 1", len(events))
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := newPath(t)
	initialise(t, path)
	execute(t, raw(t, path), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	for _, serve := range []bool{false, true} {
		_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: serve})
		wantErr(t, err, sqlstore.ErrTooNew)
	}
}

// A crash during the very first start leaves the table of versions and nothing else.
func TestInterruptedFirstStart(t *testing.T) {
	path, finished := newPath(t), newPath(t)
	initialise(t, finished)
	var schema string
	err := raw(t, finished).QueryRowContext(t.Context(),
		`SELECT sql FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&schema)
	must(t, err)
	db := raw(t, path)
	execute(t, db, schema)
	execute(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)

	_, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	wantErr(t, err, sqlstore.ErrNotMigrated)
	create(t, open(t, path), "ci")
}

// What a connection of ours can see of the settings; the store itself refuses to
// start when SQLite does not confirm the rest.
func TestJournalMode(t *testing.T) {
	path := newPath(t)
	open(t, path)
	var mode string
	must(t, raw(t, path).QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode))
	if mode != "wal" {
		t.Errorf("journal_mode is %s, want wal", mode)
	}
}

func TestAuditLogIsAppendOnly(t *testing.T) {
	path := newPath(t)
	db := open(t, path)
	create(t, db, "ci")
	connection := raw(t, path)
	for _, statement := range []string{
		`UPDATE audit_events SET via = 'nobody'`,
		`DELETE FROM audit_events`,
		`REPLACE INTO audit_events SELECT id, 0, action, key_id, owner, name, changed, actor_id, via, request_id
			FROM audit_events`,
	} {
		if _, err := connection.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("the audit log took %q", statement)
		}
	}
	events, err := db.AuditEvents(t.Context(), 10)
	must(t, err)
	if len(events) != 1 || events[0].Via != operator.Via || events[0].At.IsZero() {
		t.Errorf("the audit log is %+v", events)
	}
}
