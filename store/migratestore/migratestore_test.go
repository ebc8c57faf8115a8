package migratestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/migratestore"
	"apikeyd/store/sqlstore"
)

func move(t *testing.T, from, to string) (migratestore.Result, error) {
	t.Helper()
	return migratestore.Move(t.Context(), migratestore.Options{From: from, To: to, Progress: func(bool, int64, int64) {}})
}

func mustMove(t *testing.T, from, to string) migratestore.Result {
	t.Helper()
	moved, err := move(t, from, to)
	must(t, err)
	return moved
}

// Everything arrives as it was.
func TestMove(t *testing.T) {
	t.Parallel()
	testMove(t, databasetest.NewPath(t), databasetest.NewPath(t))
}

// testMove moves a database from each place to the next. The last is a file.
func testMove(t *testing.T, places ...string) {
	t.Helper()
	first := databasetest.NewPath(t)
	secrets := furnish(t, first, 1200)
	want := contentsOf(t, first)
	stops := append([]string{first}, places...)
	sums := make(map[string]bool)
	for i, to := range stops[1:] {
		moved := mustMove(t, stops[i], to)
		sums[moved.Checksum] = true
		if moved.Found != 0 || moved.Complete || int(moved.Keys) != len(want.Keys) || int(moved.Events) != len(want.Events) {
			t.Errorf("move %d: %+v", i, moved)
		}
		if diff := want.diff(contentsOf(t, to)); diff != "" {
			t.Fatalf("after move %d (-want +got):\n%s", i, diff)
		}
		if again := mustMove(t, stops[i], to); !again.Complete || again.Checksum != moved.Checksum {
			t.Errorf("moving again: %+v", again)
		}
	}
	if len(sums) != 1 {
		t.Errorf("the checksums are %q", slices.Collect(maps.Keys(sums)))
	}
	last := len(stops) - 1
	if before, after := dump(t, first), dump(t, stops[last]); before != after {
		t.Errorf("the files differ:\n%s", cmp.Diff(before, after))
	}
	// Each works like the original: a server continues its chains and prunes them.
	for _, path := range []string{stops[last/2], stops[last]} {
		db := databasetest.OpenWith(t, sqlstore.Options{Path: path, Node: "main", Serve: true})
		for id, secret := range secrets {
			key, err := db.Key(t.Context(), store.ByID(id))
			must(t, err)
			if !key.Accepts(secret.Hash(), time.Now()) {
				t.Fatalf("key %s does not accept its secret", id)
			}
		}
		databasetest.Create(t, db, "new")
		must(t, second(db.PruneEvents(t.Context(), time.Now().Add(time.Hour))))
		reports, err := db.VerifyAudit(t.Context())
		must(t, err)
		for _, report := range reports {
			if report.Faults != nil || report.Head.Chain == "main" && report.Anchor.Seq < want.Chains[0].Head.Seq {
				t.Errorf("%+v", report)
			}
		}
	}
}

// dump returns the contents of all tables of a file.
func dump(t *testing.T, path string) string {
	t.Helper()
	db := databasetest.Raw(t, path)
	var b strings.Builder
	for _, table := range []string{"api_keys", "key_uses", "owners", "quota_uses", "usage_hours", "usage_days", "key_seen", "key_counts", "notices", "audit_events", "audit_chains", "audit_anchors", "notes",
		"webhooks", "webhook_cursors", "webhook_deliveries"} {
		dumpTable(t, db, table, &b)
	}
	return b.String()
}

func dumpTable(t *testing.T, db *sql.DB, table string, to *strings.Builder) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table+` ORDER BY 1, 2`)
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		fmt.Fprintf(to, "%s %q\n", table, values)
	}
	must(t, rows.Err())
}

// A move that is interrupted after any step continues, and nobody opens an unfinished target.
func TestMoveResumes(t *testing.T) {
	t.Parallel()
	testMoveResumes(t, databasetest.NewPath(t))
}

func testMoveResumes(t *testing.T, to string) {
	t.Helper()
	from := databasetest.NewPath(t)
	furnish(t, from, 1200)
	want := contentsOf(t, from)
	interrupted := 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		_, err := migratestore.Move(ctx, migratestore.Options{From: from, To: to, Progress: func(bool, int64, int64) {
			if steps++; steps == 2 && interrupted < 8 || steps > 2 && interrupted < 16 && steps == interrupted {
				cancel()
			}
		}})
		cancel()
		if err == nil {
			break
		}
		if interrupted++; !errors.Is(err, context.Canceled) || interrupted > 20 {
			t.Fatalf("run %d: %v", interrupted, err)
		}
		for _, serve := range []bool{false, true} {
			_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: to, Serve: serve, Node: "n"})
			wantErr(t, err, sqlstore.ErrUnfinished)
		}
		_, err = move(t, to, databasetest.NewPath(t))
		wantErr(t, err, sqlstore.ErrUnfinished)
	}
	if interrupted < 8 {
		t.Errorf("interrupted %d times only", interrupted)
	}
	if diff := want.diff(contentsOf(t, to)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A target is refused, and left as it is, if it contains anything that is not from the source.
func TestMoveRefusals(t *testing.T) {
	t.Parallel()
	from, other, empty := databasetest.NewPath(t), databasetest.NewPath(t), databasetest.NewPath(t)
	furnish(t, from, 30)
	furnish(t, other, 30)
	databasetest.Initialise(t, empty)
	foreign, notOurs := databasetest.NewPath(t), databasetest.NewPath(t)
	databasetest.Execute(t, databasetest.Raw(t, foreign), `CREATE TABLE things (thing INTEGER)`)
	must(t, os.WriteFile(notOurs, []byte(strings.Repeat("Dear diary, ", 1000)), 0o600))
	begun := interruptedMove(t, other)
	served := databasetest.NewPath(t)
	databasetest.Open(t, served)

	testMoveRefusals(t, map[string]refusedMove{
		"into another database":     {from, other, migratestore.ErrTargetTaken},
		"into an empty one of ours": {from, empty, migratestore.ErrTargetTaken},
		"into a foreign file":       {from, foreign, store.ErrForeign},
		"into a diary":              {from, notOurs, store.ErrForeign},
		"into another's move":       {from, begun, migratestore.ErrOtherSource},
		"into itself":               {from, from, migratestore.ErrSame},
		"into one that is served":   {from, served, store.ErrInUse},
		"from one that is served":   {served, databasetest.NewPath(t), store.ErrInUse},
		"from nothing":              {databasetest.NewPath(t), databasetest.NewPath(t), store.ErrMissing},
		"from a foreign file":       {foreign, databasetest.NewPath(t), store.ErrForeign},
	})
}

type refusedMove struct {
	from, to string
	want     error
}

func testMoveRefusals(t *testing.T, tests map[string]refusedMove) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before, _ := os.ReadFile(tt.to)
			_, err := move(t, tt.from, tt.to)
			wantErr(t, err, tt.want)
			if after, _ := os.ReadFile(tt.to); string(after) != string(before) {
				t.Error("the file is not what it was")
			}
			if _, err := os.Stat(tt.to); err == nil && strings.HasPrefix(name, "from") {
				t.Error("it made a file")
			}
		})
	}
}

// interruptedMove begins to move a database into a file, and stops.
func interruptedMove(t *testing.T, from string) (to string) {
	t.Helper()
	to = databasetest.NewPath(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := migratestore.Move(ctx, migratestore.Options{From: from, To: to, Progress: func(bool, int64, int64) { cancel() }})
	wantErr(t, err, context.Canceled)
	return to
}

// A change of the source is noticed, during the move and between two runs. So is anything extra or missing in the
// target.
func TestMoveNoticesChanges(t *testing.T) {
	t.Parallel()
	newSource := func(t *testing.T) string {
		t.Helper()
		path := databasetest.NewPath(t)
		furnish(t, path, 30)
		return path
	}
	t.Run("during", func(t *testing.T) {
		from := newSource(t)
		beside := databasetest.OpenBeside(t, from)
		changed := false
		to := databasetest.NewPath(t)
		_, err := migratestore.Move(t.Context(), migratestore.Options{From: from, To: to, Progress: func(checking bool, _, _ int64) {
			if checking && !changed {
				changed = true
				databasetest.Create(t, beside, "late")
			}
		}})
		wantErr(t, err, migratestore.ErrChanged)
		_, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: to, Serve: true})
		wantErr(t, err, sqlstore.ErrUnfinished)
	})
	t.Run("between", func(t *testing.T) {
		from := newSource(t)
		to := interruptedMove(t, from)
		databasetest.Create(t, databasetest.OpenBeside(t, from), "late")
		_, err := move(t, from, to)
		wantErr(t, err, migratestore.ErrOtherSource)
	})
	for name, statement := range map[string]string{
		"a key that is gone": `DELETE FROM api_keys WHERE id = (SELECT min(id) FROM api_keys)`,
		"a time":             `UPDATE api_keys SET expires_at = expires_at + 1 WHERE id = (SELECT min(id) FROM api_keys)`,
		"a text":             `UPDATE api_keys SET owner = owner || ' ' WHERE id = (SELECT min(id) FROM api_keys)`,
		"no NULL":            `UPDATE api_keys SET rate_limit = 0 WHERE id = (SELECT min(id) FROM api_keys WHERE rate_limit IS NULL)`,
		"a last use":         `UPDATE key_uses SET last_used_at = last_used_at + 1`,
		"where from":         `UPDATE key_uses SET last_used_from = ''`,
		"a quota's use":      `UPDATE quota_uses SET used = used + 1`,
		"a foreign secret":   `UPDATE foreign_secrets SET id = zeroblob(16)`,
		"an hour's uses":     `UPDATE usage_hours SET uses = uses + 1`,
		"a day that is gone": `DELETE FROM usage_days WHERE outcome = 0`,
		"a scope's last day": `UPDATE key_seen SET day = day + 1 WHERE kind = 0`,
		"a notice":           `UPDATE notices SET threshold = threshold + 1`,
		"an owner's network": `UPDATE owners SET allowed_cidrs = ''`,
		"an owner's bound":   `UPDATE owners SET max_keys = max_keys + 1`,
		"another key":        `INSERT INTO api_keys SELECT zeroblob(16), owner, 'x', prefix, scopes, secret_hash, created_at, expires_at, revoked_at, old_secret_hash, old_secret_until, metadata, rate_limit, rate_window, suspended, revocation_reason, quota_limit, quota_period, quota_starts_on, allowed_cidrs, observe_cidrs, foreign_secret, rotated_at FROM api_keys LIMIT 1`,
		"another event":      `INSERT INTO audit_events SELECT zeroblob(16), at, action, key_id, owner, name, changes, actor_id, via, address, request_id, chain, seq, hash FROM audit_events LIMIT 1`,
	} {
		t.Run(name, func(t *testing.T) {
			from, to := newSource(t), databasetest.NewPath(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := migratestore.Move(ctx, migratestore.Options{From: from, To: to, Progress: func(checking bool, _, _ int64) {
				if checking { // everything was copied
					cancel()
				}
			}})
			wantErr(t, err, context.Canceled)
			databasetest.Execute(t, databasetest.Raw(t, to), statement)
			_, err = move(t, from, to)
			wantErr(t, err, migratestore.ErrDiffers)
		})
	}
}
