package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"apikeyd/internal/service"
	signertest "apikeyd/internal/testkit/signer"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

func TestJudgeClock(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		now, last time.Time
		want      Severity
	}{
		"empty":             {now, time.Time{}, Healthy},
		"later":             {now, now.Add(-time.Hour), Healthy},
		"set back a little": {now, now.Add(clockSlack), Healthy},
		"set back":          {now, now.Add(clockSlack + time.Millisecond), Failed},
		"no battery":        {time.Unix(0, 0), time.Time{}, Failed},
	} {
		if got := judgeClock(tt.now, tt.last); got.Status != tt.want || (got.ToDo == "") != (tt.want == Healthy) {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
}

func TestJudgeBackup(t *testing.T) {
	alerts, err := os.ReadFile("../../docs/alerts.yml")
	if rule := fmt.Sprintf("time() - apikeyd_last_backup_timestamp_seconds > %d * 3600\n", backupAge/time.Hour); err != nil || !strings.Contains(string(alerts), rule) {
		t.Errorf("the alert has another limit than %q, error %v", rule, err)
	}
	now := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		last time.Time
		want Severity
		says string
	}{
		"none":             {time.Time{}, Healthy, "has not copied"},
		"recent":           {now.Add(-20 * time.Minute), Healthy, "made 0.3 h ago, at 2030-01-31T11:40:00.000Z"},
		"of last night":    {now.Add(-36 * time.Hour), Healthy, "made 36.0 h ago"},
		"old":              {now.Add(-backupAge - time.Second), Warning, "made 48.0 h ago"},
		"a clock set back": {now.Add(time.Hour), Healthy, "made 0.0 h ago"},
	} {
		got := judgeBackup(now, tt.last)
		if got.Status != tt.want || !strings.Contains(got.Found, tt.says) || (got.ToDo == "") != (tt.want == Healthy) {
			t.Errorf("%s: %+v, want %s that says %q", name, got, tt.want, tt.says)
		}
	}
}

// A database that cannot be opened is no reason to restore a backup.
func TestUnreadableDatabase(t *testing.T) {
	for want, err := range map[string]error{
		"run doctor as the user that serves": store.ErrUnavailable,
		"restore the last backup":            store.ErrDamaged,
		"use that version of apikeyd":        store.ErrTooNew,
	} {
		if got := unreadable(err); got.Status != Failed || !strings.Contains(got.ToDo, want) {
			t.Errorf("%v: %+v, want %q", err, got, want)
		}
	}
}

// The findings about a certificate that serve accepts.
func TestDoctorOnCertificates(t *testing.T) {
	for name, tt := range map[string]struct {
		begin, end time.Duration // from now
		want       Severity
	}{
		"good":        {-time.Hour, 30 * 24 * time.Hour, Healthy},
		"soon over":   {-time.Hour, 6 * 24 * time.Hour, Warning},
		"over":        {-2 * time.Hour, -time.Hour, Failed},
		"not yet one": {time.Hour, 30 * 24 * time.Hour, Failed},
	} {
		leaf := &x509.Certificate{NotBefore: time.Now().Add(tt.begin), NotAfter: time.Now().Add(tt.end)}
		if got := judgeCertificate(leaf, time.Now()); got.Status != tt.want {
			t.Errorf("%s: %+v, want %s", name, got, tt.want)
		}
	}
}

// A deployment whose files do not exist yet can be examined too.
func TestExamine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	deployment := Deployment{Config: service.Config{Database: path}, Refusal: errors.New("the settings are odd")}
	status := func(name string) Severity {
		t.Helper()
		findings, err := Examine(t.Context(), deployment)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Check == name {
				return f.Status
			}
		}
		return ""
	}
	if status("database") != Failed || status("configuration") != Failed || status("schema") != "" {
		t.Error("a database that is missing, and settings that are refused, are no failures")
	}
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	deployment.Refusal = nil
	for _, check := range []string{"configuration", "files", "schema", "integrity", "audit log", "backup", "clock"} {
		if got := status(check); got != Healthy {
			t.Errorf("%s of a new database is %q", check, got)
		}
	}
}

// The keys of secret scanning are read from a file or a URL, as serve reads them.
func TestDoctorOnScanningKeys(t *testing.T) {
	unreachable := httptest.NewTLSServer(http.NotFoundHandler()) // nobody trusts its certificate
	unreachable.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer unreachable.Close()
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		source string
		want   Severity
		says   string
	}{
		"off":           {"", Healthy, "off"},
		"a file":        {signertest.File(t, signertest.New(t, "a"), signertest.New(t, "b")), Healthy, "lists 2 usable"},
		"no file":       {filepath.Join(t.TempDir(), "none.json"), Failed, "none.json"},
		"no list":       {write("keys"), Failed, "is not JSON"},
		"no usable key": {write(`{"public_keys": []}`), Failed, "lists no ECDSA key"},
		"a URL":         {unreachable.URL + "/keys", Warning, "certificate"},
	} {
		d := Deployment{Config: service.Config{Settings: service.Settings{ScanningKeys: tt.source}}}
		got := d.checkScanningKeys(t.Context())
		if got.Status != tt.want || !strings.Contains(got.Found, tt.says) || (got.ToDo == "") != (tt.want == Healthy) {
			t.Errorf("%s: %+v, want %s that says %q", name, got, tt.want, tt.says)
		}
	}
}
