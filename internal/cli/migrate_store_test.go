//go:build full

package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// movedKeys is how many keys the moved database has: several batches.
const movedKeys = 8_000

// planted is a secret and the result of verifying it.
type planted struct{ secret, code string }

// plantVariety makes a database with keys of all kinds, and an audit log that was partly pruned. It
// returns some of its secrets.
func plantVariety(t *testing.T, path string, keys int) []planted {
	t.Helper()
	plant := func(from, to int, clock time.Time) (some []planted) {
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true, Now: func() time.Time { return clock }})
		must(t, err)
		defer func() { must(t, db.Close()) }()
		var mu sync.Mutex
		var wg sync.WaitGroup
		for worker := range 32 {
			wg.Go(func() {
				for i := from + worker; i < to; i += 32 {
					secrets, err := plantOne(t, db, i, clock)
					if err != nil {
						t.Error(err)
						return
					}
					if i%50 < 8 {
						mu.Lock()
						some = append(some, secrets...)
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		return some
	}
	secrets := plant(0, keys/4, time.Now().Add(-72*time.Hour))
	secrets = append(secrets, plant(keys/4, keys, time.Now())...)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	removed, err := db.PruneEvents(t.Context(), time.Now().Add(-24*time.Hour))
	if err != nil || removed < keys/4 {
		t.Fatalf("%d events were removed: %v", removed, err)
	}
	must(t, db.Close())
	return secrets
}

// plantOne makes the key with this number, and all its secrets.
func plantOne(t *testing.T, db *sqlstore.DB, i int, now time.Time) ([]planted, error) {
	key, secret, err := apikey.Policy{}.NewKey(now, apikey.Settings{
		Owner: fmt.Sprint("团队 ", i%100), Name: fmt.Sprint("ключ ", i), ExpiresAt: time.Now().Add(240 * time.Hour),
		Metadata:  map[int]apikey.Metadata{0: {"note": "🗝️ \x00\n", "n": fmt.Sprint(i)}}[i%3],
		RateLimit: map[int]apikey.RateLimit{0: {Limit: 1000, Window: time.Hour}}[i%5],
	})
	if err != nil {
		return nil, err
	}
	ctx, operator := t.Context(), store.Operator("test")
	if err := db.CreateKey(ctx, operator, key); err != nil {
		return nil, err
	}
	switch first := secret.Reveal(); i % 8 {
	case 1:
		_, err := db.RevokeKey(ctx, operator, store.ByID(key.ID), apikey.ReasonUnspecified)
		return []planted{{first, "REVOKED"}}, err
	case 2, 3:
		next, grace, old := key.NewSecret(), time.Duration(0), "NOT_FOUND"
		if i%8 == 3 {
			grace, old = 200*time.Hour, "VALID"
		}
		_, err := db.RotateKey(ctx, operator, store.ByID(key.ID), apikey.Rotation{
			From: secret.Hash(), To: next.Hash(), Grace: grace,
		})
		return []planted{{first, old}, {next.Reveal(), "VALID"}}, err
	case 4:
		return []planted{{first, "VALID"}}, db.RecordUses(ctx, []store.Use{{Key: key.ID, LastUsedAt: now}})
	default:
		return []planted{{first, "VALID"}}, nil
	}
}

var movedLine = regexp.MustCompile(`^moved 8000 keys, 1000 last uses and (\d+) audit events( \(\d+ rows from an earlier run\))? ` +
	`from \S+ to \S+ in ([\d.]+) s; SHA-256 of all rows on both sides ([0-9a-f]{64})\n$`)

// moveStore runs a move to its end, and returns the checksum and the duration.
func moveStore(t *testing.T, dir, from, to string) (sum, seconds string) {
	t.Helper()
	cmd, err := apikeyd(dir, nil, "migrate-store", "--from", from, "--to", to)
	must(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	found := movedLine.FindStringSubmatch(string(out))
	if err != nil || found == nil {
		t.Fatalf("migrate-store says %q: %v\n%s", out, err, stderr.String())
	}
	return found[4], found[3]
}

// kill -9 during a move, at any moment and several times, leaves a target that cannot be served and
// that the next run completes. So does the loss of the target's server. Then all secrets work, and
// moving back gives the original content.
func TestKillMigrateStore(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	dir := t.TempDir()
	from := filepath.Join(dir, "keys.db")
	secrets := plantVariety(t, from, movedKeys)
	head := headOf(t, dir, from)
	began := time.Now()
	wanted, seconds := moveStore(t, dir, from, cluster.Database(t))
	usual := time.Since(began)
	t.Logf("%d keys to PostgreSQL in %s s", movedKeys, seconds)

	interrupted := 0
	for round := range max(1, *kills/4) {
		for _, to := range []string{cluster.Database(t), filepath.Join(dir, fmt.Sprint(round, ".db"))} {
			ended := false
			for range 4 {
				if ended = killSoon(t, dir, usual, "migrate-store", "--from", from, "--to", to); ended {
					break
				}
				interrupted++
				wantUnserved(t, dir, to)
			}
			if !ended {
				if sum, _ := moveStore(t, dir, from, to); sum != wanted {
					t.Errorf("the checksum is %s, want %s", sum, wanted)
				}
			}
			wantHead(t, dir, to, head)
		}
	}
	t.Logf("%d moves were killed", interrupted)

	to := cluster.Database(t)
	loseServer(t, cluster, dir, from, to)
	if sum, _ := moveStore(t, dir, from, to); sum != wanted {
		t.Errorf("after the loss of the server, the checksum is %s, want %s", sum, wanted)
	}
	t.Log("the server was lost")
	back := filepath.Join(dir, "back.db")
	sum, seconds := moveStore(t, dir, to, back)
	if sum != wanted {
		t.Errorf("back again, the checksum is %s, want %s", sum, wanted)
	}
	t.Logf("%d keys back into a file in %s s", movedKeys, seconds)
	for _, database := range []string{to, back} {
		wantHead(t, dir, database, head)
		wantSecrets(t, database, secrets)
	}
}

// wantUnserved checks that no server serves a target, unless the move had not begun or was complete.
func wantUnserved(t *testing.T, dir, to string) {
	t.Helper()
	p, err := launch(dir, nil, "keys", "list", "--database", to)
	must(t, err)
	<-p.exited
	said := p.output.String()
	if !strings.Contains(said, "is not finished; run it again") && !strings.Contains(said, "there is no database here") &&
		!strings.Contains(said, "older apikeyd") && !p.cmd.ProcessState.Success() {
		t.Errorf("keys list says %q", said)
	}
	if p.cmd.ProcessState.Success() && strings.Count(said, "\n") < movedKeys {
		t.Errorf("the target is open with %d lines of keys", strings.Count(said, "\n"))
	}
}

// loseServer kills the target's server during a move.
func loseServer(t *testing.T, cluster *postgrestest.Cluster, dir, from, to string) {
	t.Helper()
	p, err := launch(dir, nil, "migrate-store", "--from", from, "--to", to)
	must(t, err)
	name := regexp.MustCompile(`/(\w+)\?`).FindStringSubmatch(to)[1]
	must(t, p.wait(func() bool {
		return cluster.SQL(t, name, `SELECT to_regclass('audit_events') IS NOT NULL`) == "t" &&
			cluster.SQL(t, name, `SELECT count(*) FROM audit_events`) != "0"
	}))
	cluster.Kill()
	must(t, p.waitExit(exitFailure))
	if !strings.Contains(p.output.String(), "the store is unavailable") {
		t.Errorf("it says %q", p.output.String())
	}
	cluster.Run(t)
	wantUnserved(t, dir, to)
}

// headOf returns the head of the chain main, in the format that audit verify accepts.
func headOf(t *testing.T, dir, database string) string {
	t.Helper()
	cmd, err := apikeyd(dir, nil, "audit", "verify", "--database", database)
	must(t, err)
	out, err := cmd.CombinedOutput()
	found := regexp.MustCompile(`(?s)chain main:.*?head (\d+:[0-9a-f]{64})`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("audit verify says %q: %v", out, err)
	}
	return string(found[1])
}

func wantHead(t *testing.T, dir, database, want string) {
	t.Helper()
	if got := headOf(t, dir, database); got != want {
		t.Errorf("the head is %s, want %s", got, want)
	}
}

// wantSecrets serves a database and verifies secrets there.
func wantSecrets(t *testing.T, database string, secrets []planted) {
	t.Helper()
	dir := t.TempDir()
	cmd, err := apikeyd(dir, nil, "keys", "create", "--database", database, "--name", "verifier", "--owner", "tests",
		"--scope", "keys:verify", "--expires-at", time.Now().Add(time.Hour).Format(time.RFC3339))
	must(t, err)
	out, err := cmd.Output()
	must(t, err)
	caller := likeSecret.FindString(string(out))
	s := serve(t, dir, "--database", database)
	for _, p := range secrets {
		a := s.want(http.StatusOK, "POST", "/v1/verify", caller, fmt.Sprintf(`{"key":%q}`, p.secret))
		if a.Code != p.code {
			t.Fatalf("verification says %s, want %s", a.Code, p.code)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "admin.key")); err == nil {
		t.Error("the server took the database for an empty one")
	}
	must(t, s.terminate())
}
