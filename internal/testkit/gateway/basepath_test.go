//go:build full

package gateways_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
	"apikeyd/conformance"
	"apikeyd/console"
	"apikeyd/gen"
	"apikeyd/internal/basepath"
	servertest "apikeyd/internal/testkit/server"
)

// TestBelowAPath starts the proxies of docs/operations.md, which remove the path, and the one of
// docs/conformance.md, which leaves it.
func TestBelowAPath(t *testing.T) {
	t.Parallel()
	caddy := gateways["Caddy"].prepare
	for name, tt := range map[string]struct {
		page    string
		fixed   string // --base-path
		proxy   gateway
		expects []string // of conformance
	}{
		"nginx, leaving the path":  {"conformance.md", "/keys", gateway{program: "nginx", files: []string{"conf.d/apikeyd.conf"}, prepare: prepareNginx}, nil},
		"nginx, removing the path": {"operations.md", "", gateway{program: "nginx", files: []string{"conf.d/apikeyd.conf"}, prepare: prepareNginx}, nil},
		"Caddy":                    {"operations.md", "", gateway{program: "caddy", files: []string{"Caddyfile"}, prepare: caddy}, []string{"deployment/paths"}},
		"HAProxy": {"operations.md", "", gateway{program: "haproxy", files: []string{"haproxy.cfg"}, prepare: func(_ *testing.T, dir string) ([]string, []string) {
			return []string{"-db", "-f", filepath.Join(dir, "haproxy.cfg")}, nil
		}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../../docs/" + tt.page)
			must(t, err)
			p := page{files: map[string]string{}}
			for _, match := range block.FindAllStringSubmatch(string(text), -1) {
				p.files[match[1]] = match[2]
			}
			s := servertest.Start(t, servertest.Options{Handler: withConsole(t, tt.fixed)})
			_, secret := s.Add(t, "acme", "for the test", "keys:admin")
			url := tt.proxy.start(t, p, s.URL, "") + "/keys"
			worksBelow(t, url, secret.Reveal())
			if tt.fixed != "" {
				return // TestConformanceBehindNginx
			}
			report, err := conformance.Run(t.Context(), conformance.Options{URL: url, Key: secret.Reveal(), Contract: gen.Contract,
				Selection: conformance.Selection{Only: []string{"lifecycle", "deployment", "names"}, Skip: []string{"names/impossible"}, Expect: tt.expects}})
			must(t, err)
			for _, result := range report.Results {
				if result.Outcome == conformance.Failed {
					t.Errorf("%s: %s", result.Name, result.Findings)
				}
			}
		})
	}
}

// withConsole serves API and console as the program does, for proxies on this machine.
func withConsole(t *testing.T, fixed string) func(http.Handler) http.Handler {
	return func(api http.Handler) http.Handler {
		pages, err := console.New(console.Config{API: api, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		must(t, err)
		return basepath.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/console") && !basepath.IsOutside(r.Context()) {
				pages.ServeHTTP(w, r)
				return
			}
			api.ServeHTTP(w, r)
		}), basepath.Options{Path: fixed, Trusts: func(r *http.Request) bool { return strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") }})
	}
}

// worksBelow uses API and console through a proxy, and tries to get around it.
func worksBelow(t *testing.T, base, secret string) {
	t.Helper()
	api, err := client.New(base, secret, client.Options{})
	must(t, err)
	created, err := api.Create(t.Context(), client.NewKey{Name: "a/b %2F", ExpiresAt: time.Now().Add(time.Hour)})
	must(t, err)
	if found, err := api.Get(t.Context(), "a/b %2F"); err != nil || found.ID != created.ID {
		t.Errorf("the client finds %s, %v", found.ID, err)
	}
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar, Timeout: patience}
	t.Cleanup(browser.CloseIdleConnections)
	open := func(address, prefix string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		must(t, err)
		if prefix != "" {
			r.Header.Set("X-Forwarded-Prefix", prefix)
		}
		answer, err := browser.Do(r)
		must(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		return answer.StatusCode, string(body)
	}
	answer, err := browser.PostForm(base+"/console/sign-in", url.Values{"secret": {secret}})
	must(t, err)
	must(t, answer.Body.Close())
	if answer.Request.URL.Path != "/keys/console" || answer.StatusCode != http.StatusOK {
		t.Errorf("signing in leads to %s, status %d", answer.Request.URL, answer.StatusCode)
	}
	status, page := open(base+"/console/keys", "")
	links := regexp.MustCompile(`(?:href|src)="(/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if status != http.StatusOK || len(links) < 10 {
		t.Fatalf("the list of keys has status %d and %d links", status, len(links))
	}
	for _, link := range links {
		if status, _ := open(strings.TrimSuffix(base, "/keys")+strings.ReplaceAll(link[1], "&amp;", "&"), ""); status != http.StatusOK {
			t.Errorf("%s is status %d", link[1], status)
		}
	}
	// Of a client's own prefix, nothing is left. At most the client is sent nowhere.
	if _, page := open(base+"/console/sign-in", "/evil"); strings.Contains(page, "evil") {
		t.Errorf("a client chose its prefix:\n%s", page)
	}
	if status, page := open(base+"/keys/console", ""); status != http.StatusNotFound {
		t.Errorf("a path that has the base path twice is status %d:\n%s", status, page)
	}
}
