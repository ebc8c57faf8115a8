package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// auditDocument returns the first block of a language in docs/audit.md.
func auditDocument(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/audit.md")
	must(t, err)
	block := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)\n```\n").FindSubmatch(text)
	if block == nil {
		t.Fatalf("docs/audit.md has no block of %s", language)
	}
	return string(block[1])
}

// exportLine is a line of the export, as docs/audit.md describes it.
type exportLine struct {
	ID, At, Action, Owner, Name, Actor, Via, Address, Chain, Hash string

	KeyID     string         `json:"key_id"`
	RequestID string         `json:"request_id"`
	Changes   jsontext.Value `json:"changes"`
	Sequence  int            `json:"sequence"`
}

// hashed returns the text that an event's hash covers, built from the description and not by our code.
func (e exportLine) hashed(t *testing.T, before string) string {
	t.Helper()
	must(t, e.Changes.Canonicalize())
	var text strings.Builder
	for _, part := range []string{"apikeyd-audit-1", e.Chain, fmt.Sprint(e.Sequence), before, e.ID, e.At, e.Action, e.KeyID,
		e.Owner, e.Name, string(e.Changes), e.Actor, e.Via, e.Address, e.RequestID} {
		fmt.Fprintf(&text, "%d:%s,", len(part), part)
	}
	return text.String()
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestAuditExample(t *testing.T) {
	var event exportLine
	must(t, json.Unmarshal([]byte(auditDocument(t, "json")), &event))
	text := auditDocument(t, "text")
	if hashOf(text) != event.Hash {
		t.Errorf("the text in the example has the hash %s, and the event %s", hashOf(text), event.Hash)
	}
	if got := event.hashed(t, strings.Repeat("0", 64)); got != text {
		t.Errorf("the event is hashed as\n%s\nand the example says\n%s", got, text)
	}
}

// serveEvents starts a server whose audit log has events of all kinds, with names and metadata that
// are hard to hash, and returns its export.
func serveEvents(t *testing.T) (s *server, export string) {
	t.Helper()
	s = serve(t, t.TempDir())
	key := s.adminKey()
	made := s.want(http.StatusCreated, http.MethodPost, "/v1/api-keys", key,
		`{"name":"<b>& \u2028 ключ","expires_at":"2099-01-31T12:00:00+02:00",
		"metadata":{"\uffff":"\"\\/","\ud83d\udd11":"\t\u007f\u0001","a":""},"rate_limit":{"limit":5,"window_seconds":60}}`)
	s.want(http.StatusOK, http.MethodPatch, "/v1/api-keys/"+made.ID, key, `{"scopes":[],"rate_limit":null,"name":"a\"b"}`)
	s.want(http.StatusOK, http.MethodPost, "/v1/api-keys/"+made.ID+"/rotate", key, `{"grace_seconds":60}`)
	s.command("keys", "create", "--name", "cli", "--expires-in", "1h")
	s.want(http.StatusOK, http.MethodDelete, "/v1/api-keys/"+made.ID, key, "")
	export = s.command("audit", "export")
	wantNoSecret(t, export)
	return s, export
}

// An export has the format in docs/audit.md, and its events are those of the API.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	s, export := serveEvents(t)
	before := strings.Repeat("0", 64)
	lines := strings.Split(strings.TrimSuffix(export, "\n"), "\n")
	for i, line := range lines {
		var event exportLine
		must(t, json.Unmarshal([]byte(line), &event))
		if got := hashOf(event.hashed(t, before)); got != event.Hash || event.Sequence != i+1 {
			t.Errorf("event %d has the hash %s, want %s: %s", event.Sequence, event.Hash, got, line)
		}
		before = event.Hash
	}
	if len(lines) != 6 {
		t.Errorf("%d events, want 6", len(lines))
	}
	head := fmt.Sprintf("%d:%s", len(lines), before)
	if got := s.command("audit", "verify", "--expect", head); !strings.Contains(got, "  head "+head+"\n") {
		t.Errorf("verification says %s", got)
	}
	wantSameEvents(t, s, lines)
}

// wantSameEvents compares the lines of an export with the API's list.
func wantSameEvents(t *testing.T, s *server, lines []string) {
	t.Helper()
	var list struct{ Data []map[string]any }
	must(t, json.Unmarshal([]byte(s.want(http.StatusOK, http.MethodGet, "/v1/audit-events", s.adminKey(), "").body), &list))
	for i, line := range lines {
		var exported map[string]any
		must(t, json.Unmarshal([]byte(line), &exported))
		for _, place := range []string{"chain", "sequence", "hash"} {
			delete(exported, place)
		}
		if got, want := fmt.Sprint(exported), fmt.Sprint(list.Data[len(lines)-1-i]); got != want {
			t.Errorf("the export says %s, and the API %s", got, want)
		}
	}
}

// Text in the database cannot control the terminal of a person who verifies the audit log.
func TestAuditVerifyPrintsNoControls(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	fault(t, filepath.Join(s.dir, "apikeyd.db"), `INSERT INTO audit_chains (chain, event_id, seq, hash)
		VALUES (char(27) || '[2J' || char(10) || 'chain main: 9 events', zeroblob(16), 0, zeroblob(32))`)
	if out := s.command("audit", "verify"); strings.Contains(out, "\x1b") || strings.Contains(out, "\nchain main: 9") {
		t.Errorf("it prints %q", out)
	}
}
