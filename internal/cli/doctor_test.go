package cli

import (
	"bytes"
	"database/sql" //nolint:depguard // it plants faults, past the store
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"apikeyd/store/sqlitefile"
)

// The doctor finds problems while a server runs, and does not disturb it.
func TestDoctorBesideAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("ci"))
	s.wantDoctor("ok       server         one is using the database\n")
	s.wantDoctor("ok       key counts     key_counts says how many there are\n")

	path := filepath.Join(s.dir, "apikeyd.db")
	fault(t, path, `UPDATE key_counts SET keys = 500 WHERE owner = 'admin'`)
	s.wantUnwell("FAILED   key counts     the numbers of keys in key_counts are not those of the keys, for 1 owners: " +
		"lists tell wrong numbers of pages; run apikeyd doctor --repair\n")
	if out := s.command("doctor", "--repair"); !strings.Contains(out, "the keys were recounted") {
		t.Errorf("the repair says\n%s", out)
	}
	s.wantDoctor("ok       key counts     ")
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("later"))
	s.wantDoctor("ok       key counts     ")

	must(t, os.Chmod(path+"-wal", 0o644))
	s.wantUnwell("FAILED   files          others may read or write apikeyd.db-wal (-rw-r--r--); chmod 600 them\n")
	must(t, os.Chmod(path+"-wal", 0o600))
	must(t, os.Chmod(filepath.Join(s.dir, "admin.key"), 0o604))
	s.wantUnwell("; chmod 600 it, and rotate that key\n")
	must(t, os.Chmod(filepath.Join(s.dir, "admin.key"), 0o600))

	fault(t, path, `UPDATE api_keys SET metadata = '[' WHERE name = 'ci'`)
	s.wantUnwell("FAILED   keys           the database is damaged: the metadata of key ")
	fault(t, path, `UPDATE api_keys SET metadata = '{}'`)

	// An id from the year 2200, so the last one.
	fault(t, path, `INSERT INTO api_keys (id, owner, name, prefix, scopes, secret_hash, created_at, expires_at)
		SELECT x'069a0000000070008000000000000000', 'later', 'key', prefix, '', secret_hash, 7258118400000, expires_at
		FROM api_keys LIMIT 1`)
	s.wantUnwell("but the last key or event was written at 2200-01-01T00:00:00.000Z; set the clock")
	fault(t, path, `DELETE FROM api_keys WHERE owner = 'later'`)

	fault(t, path, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	for _, check := range []string{"keys       ", "key counts ", "audit log  "} {
		s.wantDoctor("warning  " + check + "    not checked: the schema is older; ")
	}

	fault(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	s.wantUnwell("the database was written by a newer apikeyd; use that version of apikeyd, or a later one\n")
}

// fault damages a database in a way that none of our code would.
func fault(t *testing.T, path, statement string) {
	t.Helper()
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", dsn.String())
	must(t, err)
	_, err = db.ExecContext(t.Context(), statement)
	must(t, err)
	must(t, db.Close())
}

func (s *server) wantUnwell(line string) {
	s.t.Helper()
	cmd, err := apikeyd(s.dir, nil, "doctor")
	must(s.t, err)
	out, err := cmd.Output()
	if err == nil || cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(string(out), line) {
		s.t.Errorf("the doctor ends with %v and says\n%s\nwant %q", err, out, line)
	}
}

// crashedDatabase is the database of a killed server: some of its keys are only in the log.
type crashedDatabase struct {
	path string
	keys int
}

func crashedServer(t *testing.T) crashedDatabase {
	t.Helper()
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	const keys = 20
	for i := range keys {
		s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint(i)))
	}
	s.kill()
	path := filepath.Join(s.dir, "apikeyd.db")
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatalf("the killed server left no log: %v", err)
	}
	return crashedDatabase{path: path, keys: keys + 1} // and the first
}

// The doctor only reads: the log of a killed server stays unchanged.
func TestDoctorLeavesTheLog(t *testing.T) {
	t.Parallel()
	crashed := crashedServer(t)
	before, err := os.ReadFile(crashed.path + "-wal")
	must(t, err)
	var stdout, stderr bytes.Buffer
	if status := run([]string{"doctor", "--database", crashed.path}, os.Stdin, &stdout, &stderr); status != exitOK {
		t.Errorf("status %d\n%s%s", status, stdout.String(), stderr.String())
	}
	if !strings.Contains(stdout.String(), "the last one did not close it") {
		t.Errorf("the doctor does not see that the server was killed\n%s", stdout.String())
	}
	after, err := os.ReadFile(crashed.path + "-wal")
	if err != nil || !bytes.Equal(before, after) || !sqlitefile.HasLog(crashed.path) {
		t.Errorf("the log changed (%v)", err)
	}
}
