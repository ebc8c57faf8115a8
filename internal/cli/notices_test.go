package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written counts events of an export by action and key.
func written(t *testing.T, export string) map[string]int {
	t.Helper()
	all := make(map[string]int)
	for line := range strings.Lines(export) {
		var e struct {
			Action string `json:"action"`
			KeyID  string `json:"key_id"`
		}
		must(t, json.Unmarshal([]byte(line), &e))
		all[e.Action+" "+e.KeyID]++
	}
	return all
}

// Notices are written once, through a kill, and reach a webhook and the log.
func TestNotices(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newReceiver(t)
	args := []string{"--webhook-allow", "127.0.0.1", "--expiry-notices", "50s,1h", "--admin-key-age", "1s"}
	s := serve(t, dir, args...)
	r.subscribe(s)
	add := func(body string) string {
		return s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), body).ID
	}
	expiring, expired := add(keyEndingIn("expiring", 50*time.Minute)), add(keyEndingIn("expired", time.Second))
	rotated := add(keyJSON("rotated"))
	s.want(http.StatusOK, "POST", "/v1/api-keys/"+rotated+"/rotate", s.adminKey(), `{"grace_seconds":2}`)
	limited := s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(),
		`{"name":"limited","expires_at":"2035-01-01T00:00:00Z","quota":{"limit":1,"period":"day"}}`)
	s.want(http.StatusOK, "POST", "/v1/verify", s.adminKey(), `{"key":"`+limited.Secret+`"}`)
	heard := func(kind string) func() bool {
		return func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.types[kind] > 0
		}
	}
	for _, kind := range []string{"api_key.expired", "api_key.rotation_due", "api_key.quota_reached"} {
		soon(t, kind+" arrives", heard(kind))
	}
	s.kill()
	s = serve(t, dir, args...)
	moved := fmt.Sprintf(`{"expires_at":%q}`, time.Now().Add(49*time.Second).UTC().Format(time.RFC3339Nano))
	s.want(http.StatusOK, "PATCH", "/v1/api-keys/"+expiring, s.adminKey(), moved)
	soon(t, "the end is announced", heard("api_key.expiring"))
	add(keyEndingIn("the last", time.Second)) // a look later, nothing was said again
	soon(t, "the last has ended", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.types["api_key.expired"] > 1 })

	export := s.command("audit", "export")
	got := written(t, export)
	for what, want := range map[string]int{
		"expiring " + expiring: 1, "expired " + expired: 1, "quota_reached " + limited.ID: 1, "expired " + rotated: 0, "expiring " + rotated: 0,
	} {
		if got[what] != want {
			t.Errorf("there are %d events %s, want %d", got[what], what, want)
		}
	}
	if n := strings.Count(export, `"action":"rotation_due"`); n != 1 {
		t.Errorf("there are %d events rotation_due, want 1", n)
	}
	s.command("audit", "verify", "--received", r.file(func(int) bool { return false }))
	s.wantLog("a key ends soon", expiring)
	must(t, s.terminate())
	if _, report, status := runHere(t, "", "keys", "list", "--database", filepath.Join(dir, defaultDatabase)); status != exitOK {
		t.Errorf("afterwards: %s", report)
	}
}
