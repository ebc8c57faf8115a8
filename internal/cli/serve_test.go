package cli

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
)

func TestFirstKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := serve(t, dir)
	secret := first.adminKey()
	first.want(http.StatusOK, "GET", "/v1/api-keys", secret, "")
	info, err := os.Stat(filepath.Join(dir, "admin.key"))
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("admin.key has mode %s, want -rw-------", info.Mode())
	}
	if !strings.Contains(first.output.String(), "admin.key") {
		t.Error("the log does not say where the first key is")
	}
	must(t, first.terminate())

	// It is created once: deleting the file, as recommended, creates no other.
	must(t, os.Remove(filepath.Join(dir, "admin.key")))
	second := serve(t, dir)
	second.want(http.StatusOK, "GET", "/v1/api-keys", secret, "")
	if _, err := os.Stat(filepath.Join(dir, "admin.key")); !os.IsNotExist(err) {
		t.Errorf("admin.key is there again: %v", err)
	}
}

// interruptFirstStart leaves a folder as a crash between writing the file and creating the key does,
// and returns the secret in the file.
func interruptFirstStart(t *testing.T, dir string) string {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "apikeyd.db"), Serve: true})
	must(t, err)
	secret := apikey.Policy{}.NewSecret()
	must(t, errors.Join(db.NoteFirstKey(t.Context(), secret.Hash()), db.Close()))
	must(t, os.WriteFile(filepath.Join(dir, "admin.key"), []byte(secret.Reveal()+"\n"), 0o600))
	return secret.Reveal()
}

// A crash between the file and the key leaves a file whose secret the next start adopts.
func TestFirstKeyIsAdopted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := interruptFirstStart(t, dir)
	s := serve(t, dir)
	s.want(http.StatusOK, "GET", "/v1/api-keys", secret, "")
	if s.adminKey() != secret {
		t.Error("admin.key was changed")
	}
	must(t, s.terminate())
	wantNoNote(t, filepath.Join(dir, "apikeyd.db"), secret)
}

// wantNoNote checks that the database no longer records this first key as pending.
func wantNoNote(t *testing.T, path, secret string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	parsed, err := apikey.ParseSecret(secret)
	must(t, err)
	if noted, err := db.IsFirstKeyNoted(t.Context(), parsed.Hash()); noted || err != nil {
		t.Errorf("the note is still there (%v)", err)
	}
}

// A revoked first key stays invalid when its database is gone but its file is not: no start, even
// after a crash, adopts a secret of another database.
func TestRevokedFirstKeyStaysDead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := serve(t, dir)
	leaked := first.adminKey()
	first.want(http.StatusOK, "DELETE", "/v1/api-keys/admin", leaked, "")
	must(t, first.terminate())
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Chmod(at("admin.key"), 0o640))
	must(t, os.WriteFile(at("admin.key.old"), []byte("precious"), 0o600))

	for range 2 {
		must(t, os.Remove(at("apikeyd.db")))
		s := serve(t, dir)
		s.want(http.StatusUnauthorized, "GET", "/v1/api-keys", leaked, "")
		s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
		if !strings.Contains(s.output.String(), "admin.key.old.") {
			t.Errorf("the log does not say where the old file is:\n%s", s.output.String())
		}
		must(t, s.terminate())
	}
	for name, want := range map[string]string{"admin.key.old": "precious", "admin.key.old.1": leaked + "\n"} {
		text, err := os.ReadFile(at(name))
		must(t, err)
		if string(text) != want {
			t.Errorf("%s was changed", name)
		}
	}
	for _, name := range []string{"admin.key", "admin.key.old.1", "admin.key.old.2"} {
		info, err := os.Stat(at(name))
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %s, want -rw-------", name, info.Mode())
		}
	}
}

func TestOneServerPerDatabase(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	second, err := launch(s.dir, nil, "serve", "--listen", "127.0.0.1:0")
	must(t, err)
	defer second.kill()
	must(t, second.waitExit(exitFailure))
	const why = "database apikeyd.db: another apikeyd serves this database"
	if !strings.Contains(second.output.String(), why) {
		t.Errorf("it says %q, want %q", second.output.String(), why)
	}
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
}

func TestKeysBesideTheServer(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	secret := strings.TrimSuffix(s.command("keys", "create", "--name", "ci", "--expires-in", "1h"), "\n")
	key := s.want(http.StatusOK, "GET", "/v1/api-keys/ci", secret, "")
	if key.Name != "ci" {
		t.Errorf("the key is %s", key.body)
	}
	s.command("keys", "revoke", "ci")
	refused := s.want(http.StatusUnauthorized, "GET", "/v1/api-keys/ci", secret, "")
	if !strings.Contains(refused.body, "CREDENTIAL_REVOKED") {
		t.Errorf("the answer is %s", refused.body)
	}
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	serveWith(t, dir, []string{
		"APIKEYD_LISTEN=127.0.0.1:0",
		"APIKEYD_DATABASE=data/keys.db",
		"APIKEYD_ADMIN_KEY_FILE=first.key",
		"APIKEYD_KEY_PREFIX=acme_test",
		"APIKEYD_MAX_KEY_LIFETIME=1h",
	})
	text, err := os.ReadFile(filepath.Join(dir, "first.key"))
	must(t, err)
	if !strings.HasPrefix(string(text), "acme_test_") {
		t.Error("APIKEYD_KEY_PREFIX has no effect")
	}
	want := []string{"keys.db", "keys.db-shm", "keys.db-wal", "keys.db.lock"}
	if diff := cmp.Diff(want, filesIn(t, filepath.Join(dir, "data"))); diff != "" {
		t.Errorf("the files differ (-want +got):\n%s", diff)
	}
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestMaxKeyLifetime(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--max-key-lifetime", "48h")
	secret := s.adminKey()
	admin := s.want(http.StatusOK, "GET", "/v1/api-keys/admin", secret, "")
	if got := admin.ExpiresAt.Sub(admin.CreatedAt); got != 48*time.Hour {
		t.Errorf("the first key lives for %s, want 48h", got)
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", secret, keyEndingIn("short", 47*time.Hour))
	const why = "expires_at must be at most 48h0m0s from now"
	for method, path := range map[string]string{"POST": "/v1/api-keys", "PATCH": "/v1/api-keys/short"} {
		refused := s.want(http.StatusBadRequest, method, path, secret, keyEndingIn("long", 49*time.Hour))
		if refused.Message != why {
			t.Errorf("%s: message is %q, want %q", method, refused.Message, why)
		}
	}
}

func TestReadinessFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	s.probe(http.StatusOK, "/readyz")
	must(t, os.Rename(filepath.Join(s.dir, "apikeyd.db"), filepath.Join(s.dir, "moved.db")))
	s.want(http.StatusServiceUnavailable, "POST", "/v1/api-keys", s.adminKey(), keyJSON("lost"))
	s.probe(http.StatusServiceUnavailable, "/readyz")
	s.probe(http.StatusOK, "/healthz")
}

// probe asks as a supervisor does; the answer's status field is no number there.
func (s *server) probe(want int, path string) {
	s.t.Helper()
	response, err := httpClient.Get(s.url + path)
	must(s.t, err)
	must(s.t, response.Body.Close())
	if response.StatusCode != want {
		s.t.Errorf("%s: status %d, want %d", path, response.StatusCode, want)
	}
}
