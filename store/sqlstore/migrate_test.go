package sqlstore_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

func TestOpeningAgainKeepsEverything(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	databasetest.Create(t, db, "ci")
	must(t, db.Close())
	again := databasetest.Open(t, path)
	databasetest.WantKey(t, again, "ci")
	events, err := again.AuditEvents(t.Context(), store.EventQuery{Limit: 10})
	must(t, err)
	if len(events) != 1 {
		t.Errorf("the audit log has %d events, want 1", len(events))
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Initialise(t, path)
	databasetest.Execute(t, databasetest.Raw(t, path), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	for _, serve := range []bool{false, true} {
		_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: serve})
		wantErr(t, err, store.ErrTooNew)
	}
}

// A crash during the first start leaves the table of versions and nothing else.
func TestInterruptedFirstStart(t *testing.T) {
	t.Parallel()
	path, finished := databasetest.NewPath(t), databasetest.NewPath(t)
	databasetest.Initialise(t, finished)
	var schema string
	err := databasetest.Raw(t, finished).QueryRowContext(t.Context(),
		`SELECT sql FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&schema)
	must(t, err)
	db := databasetest.Raw(t, path)
	databasetest.Execute(t, db, schema)
	databasetest.Execute(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)`)

	_, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	wantErr(t, err, store.ErrNotMigrated)
	databasetest.Create(t, databasetest.Open(t, path), "ci")
}

// The settings that another connection can see; the store itself refuses to
// start if SQLite does not confirm the rest.
func TestJournalMode(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Open(t, path)
	var mode string
	must(t, databasetest.Raw(t, path).QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode))
	if mode != "wal" {
		t.Errorf("journal_mode is %s, want wal", mode)
	}
}

func TestAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	databasetest.Create(t, db, "ci")
	connection := databasetest.Raw(t, path)
	for _, statement := range []string{
		`UPDATE audit_events SET via = 'nobody'`,
		`DELETE FROM audit_events`,
		`REPLACE INTO audit_events SELECT id, 0, action, key_id, owner, name, changes, actor_id, via, address, request_id,
			chain, seq + 1, hash FROM audit_events`,
		`UPDATE audit_chains SET seq = seq - 1`,
		`DELETE FROM audit_chains`,
		`INSERT INTO audit_anchors SELECT chain, event_id, seq + 1, hash, 0 FROM audit_chains`,
		`INSERT INTO audit_anchors SELECT chain, event_id, seq, zeroblob(32), 0 FROM audit_chains`,
	} {
		if _, err := connection.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("the audit log took %q", statement)
		}
	}
	events, err := db.AuditEvents(t.Context(), store.EventQuery{Limit: 10})
	must(t, err)
	if len(events) != 1 || events[0].Via != databasetest.Operator.Via || events[0].At.IsZero() {
		t.Errorf("the audit log is %+v", events)
	}
}

// A database of the first release is migrated without a loss, and later features
// work on its keys.
func TestFirstSchemaIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	keys := firstSchema(t, path)
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	wantErr(t, err, store.ErrNotMigrated)

	var log strings.Builder
	for _, when := range []string{"after the migration", "after another start"} {
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
		must(t, err)
		page, err := db.Keys(t.Context(), store.Query{Limit: 100})
		must(t, err)
		if diff := cmp.Diff(keys, page.Keys); diff != "" || page.Total != len(keys) {
			t.Errorf("%s: %d keys, which differ (-want +got):\n%s", when, page.Total, diff)
		}
		events, err := db.AuditEvents(t.Context(), store.EventQuery{Limit: 10})
		must(t, err)
		if len(events) != 1 || events[0].Key != keys[0].ID || events[0].Via != "first schema" {
			t.Errorf("%s: the audit log is %+v", when, events)
		}
		must(t, db.Close())
	}

	if n := strings.Count(log.String(), "bringing the schema up to date"); n != 1 {
		t.Errorf("the log says %d times that the schema is brought up to date, want once\n%s", n, log.String())
	}

	db, active := databasetest.Open(t, path), keys[0]
	metadata, limit := apikey.Metadata{"plan": "pro"}, apikey.RateLimit{Limit: 3, Window: time.Minute}
	_, err = db.UpdateKey(t.Context(), databasetest.Operator, store.ByID(active.ID), apikey.Change{Metadata: &metadata, RateLimit: &limit})
	must(t, err)
	rotation := apikey.Rotation{From: active.SecretHash, To: active.NewSecret().Hash(), Grace: time.Minute}
	_, err = db.RotateKey(t.Context(), databasetest.Operator, store.ByID(active.ID), rotation)
	must(t, err)
	got, err := db.Key(t.Context(), store.ByID(active.ID))
	must(t, err)
	if !got.Accepts(rotation.From, time.Now()) || !got.Accepts(rotation.To, time.Now()) || got.RateLimit != limit ||
		!cmp.Equal(got.Metadata, metadata) {
		t.Errorf("the key is %+v", got)
	}
	// The constraints of the first schema still apply.
	key, _ := databasetest.Draft(t, active.Name)
	wantErr(t, db.CreateKey(t.Context(), databasetest.Operator, key), store.ErrNameTaken)
	if _, err := databasetest.Raw(t, path).ExecContext(t.Context(), `DELETE FROM audit_events`); err == nil {
		t.Error("the audit log can be emptied")
	}
}

// Keys that were rotated before rotated_at was stored have it from the audit log.
func TestRotationsAreFound(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	plain, rotated := databasetest.Create(t, db, "plain"), databasetest.Create(t, db, "rotated")
	for range 2 {
		rotated, err = db.RotateKey(t.Context(), databasetest.Operator, store.ByID(rotated.ID), apikey.Rotation{
			From: rotated.SecretHash, To: rotated.NewSecret().Hash(), Grace: time.Minute,
		})
		must(t, err)
	}
	must(t, db.Close())
	databasetest.Execute(t, databasetest.Raw(t, path), `DROP INDEX api_keys_expiry; DROP INDEX api_keys_grace; DROP INDEX api_keys_admin;
		ALTER TABLE api_keys DROP COLUMN rotated_at; DROP TABLE notices; DROP TABLE session_keys; DROP TABLE owner_links; DELETE FROM goose_db_version WHERE version_id >= 16`)
	again := databasetest.Open(t, path)
	for _, want := range []apikey.Key{plain, rotated} {
		got, err := again.Key(t.Context(), store.ByID(want.ID))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", want.Name, diff)
		}
	}
}

// firstSchema leaves a database of schema version 1 at path, and returns its keys,
// newest first: active, expired, revoked.
func firstSchema(t *testing.T, path string) []apikey.Key {
	t.Helper()
	db := databasetest.Raw(t, path)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations/sqlite"),
		goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = provider.UpTo(t.Context(), 1)
	must(t, err)

	var keys []apikey.Key
	for _, name := range []string{"revoked", "expired/%", "active ключ"} {
		key, _ := databasetest.Draft(t, name)
		switch name {
		case "revoked":
			key.RevokedAt, key.Scopes = key.CreatedAt.Add(time.Second), apikey.Scopes{}
		case "expired/%":
			key.ExpiresAt, key.LastUsedAt = key.CreatedAt.Add(-time.Hour), key.CreatedAt
		}
		millis := func(at time.Time) any {
			if at.IsZero() {
				return nil
			}
			return at.UnixMilli()
		}
		_, err := db.ExecContext(t.Context(), `INSERT INTO api_keys (id, owner, name, prefix, scopes, secret_hash,
			created_at, expires_at, revoked_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			key.ID[:], key.Owner, key.Name, key.Prefix, key.Scopes.String(), key.SecretHash[:],
			millis(key.CreatedAt), millis(key.ExpiresAt), millis(key.RevokedAt), millis(key.LastUsedAt))
		must(t, err)
		keys = append([]apikey.Key{key}, keys...)
	}
	event := apikey.NewID()
	_, err = db.ExecContext(t.Context(), `INSERT INTO audit_events VALUES ($1, 1, 'create', $2, 'acme', 'n', '', NULL,
		'first schema', '')`, event[:], keys[0].ID[:])
	must(t, err)
	return keys
}

// An unreadable row is an error that names the key, not a key without metadata.
func TestSpoiledMetadata(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	key := databasetest.Create(t, db, "ci")
	databasetest.Execute(t, databasetest.Raw(t, path), `UPDATE api_keys SET metadata = '{"plan":'`)
	_, err := db.Key(t.Context(), store.ByID(key.ID))
	if err == nil || !strings.Contains(err.Error(), key.ID.String()) {
		t.Errorf("error is %v", err)
	}
	if _, err := db.Keys(t.Context(), store.Query{Limit: 1}); err == nil {
		t.Error("a list shows the key")
	}
}
