//go:build full

package cli

import (
	"net/http"
	"strings"
	"testing"
)

// The suite accepts every way to name a server and give a key.
func TestConformanceInOtherWays(t *testing.T) {
	t.Parallel()
	for name, conform := range map[string]func(*testing.T, *server){
		"behind a proxy": func(t *testing.T, s *server) {
			url := proxy(t, s.url, func(*http.Response) error { return nil })
			wantConforms(t, s, nil, "--url", url, "--key-file", "admin.key")
		},
		"with a slash behind": func(t *testing.T, s *server) {
			wantConforms(t, s, nil, "--url", s.url+"/", "--key-file", "admin.key")
		},
		// The environment passes a secret without showing it to ps.
		"configured by the environment": func(t *testing.T, s *server) {
			wantConforms(t, s, []string{"APIKEYD_URL=" + s.url, "APIKEYD_KEY=" + s.adminKey()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conform(t, serve(t, t.TempDir(), "--auth-failures-per-minute", "0"))
		})
	}
}

// With its default settings, a server limits the suite's many failures, and the suite waits as told.
func TestConformanceOfDefaults(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	if out, stderr, status := conform(t, s.dir, nil, "--url", s.url, "--key-file", "admin.key", "--read-only"); status != exitOK {
		t.Errorf("exit status %d\n%s%s", status, out, stderr)
	}
	// On any machine, the suite starts after its address has failed too often.
	for s.call("GET", "/v1/api-keys", "hunter2", "").status != http.StatusTooManyRequests {
	}
	const slowed = "too many calls with a bad API key"
	before := strings.Count(s.output.String(), slowed)
	out, stderr, status := conform(t, s.dir, nil, "--url", s.url, "--key-file", "admin.key")
	if status != exitOK || !strings.Contains(out, allConform) {
		t.Errorf("exit status %d\n%s%s", status, out, stderr)
	}
	if strings.Count(s.output.String(), slowed) == before {
		t.Error("nothing was slowed down")
	}
}
