package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/client"
)

// receiver takes events over plain HTTP on this machine, verifies and keeps them.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	secrets []string
	fails   func() bool    // whether an attempt fails; nil for never
	times   map[string]int // each event was taken, by id
	log     []string       // data, in the order of arrival
	types   map[string]int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, times: make(map[string]int), types: make(map[string]int)}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the service was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	event, err := client.VerifyWebhook(r.secrets, request.Header, body, time.Now())
	switch {
	case err != nil:
		r.t.Errorf("%v: %s", err, body)
		w.WriteHeader(http.StatusBadRequest)
		return
	case r.fails != nil && r.fails():
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.times[event.ID]++
	r.types[event.Type]++
	r.log = append(r.log, string(event.Raw))
}

// have reports whether all events of an export from a number on have arrived, and which have not.
func (r *receiver) have(export string, from int64) (missing []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(export) {
		var e struct {
			ID       string
			Sequence int64
		}
		must(r.t, json.Unmarshal([]byte(line), &e))
		if e.Sequence >= from && r.times[e.ID] == 0 {
			missing = append(missing, e.ID)
		}
	}
	return missing
}

// file writes what arrived, without the events that leave names.
func (r *receiver) file(leave func(line int) bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kept []string
	for i, line := range r.log {
		if !leave(i) {
			kept = append(kept, line)
		}
	}
	path := filepath.Join(r.t.TempDir(), "received.jsonl")
	must(r.t, os.WriteFile(path, []byte(strings.Join(kept, "\n")+"\n"), 0o600))
	return path
}

// subscribe creates a webhook for the receiver.
func (r *receiver) subscribe(s *server) (id string) {
	r.t.Helper()
	made := s.want(http.StatusCreated, "POST", "/v1/webhooks", s.adminKey(), `{"url":"`+r.URL+`/in"}`)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, made.Secret)
	return made.ID
}

// soon waits until something is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never was so that %s", what)
		}
	}
}

// A webhook from its creation to its deletion, with the real program.
func TestWebhookCommands(t *testing.T) {
	t.Parallel()
	s, r := serve(t, t.TempDir(), "--webhook-allow", "127.0.0.1"), newReceiver(t)
	id := r.subscribe(s)
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
	s.command("keys", "suspend", "ci", "--owner", "admin") // another process
	soon(t, "both changes arrive", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.types["api_key.created"] == 1 && r.types["api_key.suspended"] == 1
	})
	rotated := strings.TrimSpace(s.command("webhooks", "rotate-secret", id, "--grace", "1h"))
	event := strings.TrimSpace(s.command("webhooks", "test", id)) // signed with both secrets
	soon(t, "the test arrives", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.times[event] == 1 })
	r.mu.Lock()
	r.secrets = []string{rotated}
	r.mu.Unlock()
	soon(t, "it is recorded", func() bool {
		return strings.Contains(s.command("webhooks", "deliveries", id, "--state", "delivered"), event)
	})
	s.command("webhooks", "retry", id, event)
	soon(t, "it arrives again", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.times[event] == 2 })
	if shown := s.command("webhooks", "get", id); !strings.Contains(shown, "enabled") || !strings.Contains(shown, "old secret") {
		t.Errorf("it is %s", shown)
	}
	if shown := s.command("webhooks", "update", id, "--disable", "--description", "off for now"); !strings.Contains(shown, "disabled") || !strings.Contains(shown, "off for now") {
		t.Errorf("after the change it is %s", shown)
	}
	s.command("webhooks", "update", id, "--enable", "--event", "api_key.leaked")
	export := s.command("audit", "export")
	lines := strings.Count(export, "\n")
	if report := s.command("audit", "verify", "--received", r.file(func(int) bool { return false })); !strings.Contains(report, "received: ") {
		t.Errorf("the report is %s", report)
	}
	if len(r.times) < lines-4 { // not the first key, its own creation, and what its new filter leaves out
		t.Errorf("%d of %d events arrived", len(r.times), lines)
	}
	s.command("webhooks", "delete", id)
	if list := s.command("webhooks", "list"); list != "" {
		t.Errorf("there are still %s", list)
	}
	if strings.Contains(s.output.String(), rotated) {
		t.Error("the log holds the secret")
	}
	must(t, s.terminate())
}
