package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page is what a browser receives.
type page struct {
	status   int
	location string
	cookies  []*http.Cookie
	text     string
}

// page asks for a page of the console.
func (s *server) page(path, cookie string) page {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	must(s.t, err)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return s.exchange(r)
}

// signIn signs in to the console and returns the cookie of the session.
func (s *server) signIn(secret string) string {
	s.t.Helper()
	form := url.Values{"secret": {secret}}.Encode()
	r, err := http.NewRequest(http.MethodPost, s.url+"/console/sign-in", strings.NewReader(form))
	must(s.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := s.exchange(r)
	if got.status != http.StatusSeeOther || len(got.cookies) != 1 {
		s.t.Fatalf("signing in: %+v", got)
	}
	return got.cookies[0].Name + "=" + got.cookies[0].Value
}

func (s *server) exchange(r *http.Request) page {
	s.t.Helper()
	r.Host = "localhost"                               // as behind a proxy: the cookie's name has the port, which a restart changes
	response, err := httpClient.Transport.RoundTrip(r) // redirects are answers too
	must(s.t, err)
	body, err := io.ReadAll(response.Body)
	must(s.t, err)
	must(s.t, response.Body.Close())
	return page{response.StatusCode, response.Header.Get("Location"), response.Cookies(), string(body)}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	secret := s.adminKey()
	if got := s.page("/console/sign-in", ""); got.status != http.StatusOK || !strings.Contains(got.text, "<h1>Sign in</h1>") {
		t.Errorf("the page to sign in: %+v", got)
	}
	if got := s.page("/console/keys", ""); got.status != http.StatusSeeOther {
		t.Errorf("without a session: %+v", got)
	}
	cookie := s.signIn(secret)
	if got := s.page("/console/keys", cookie); got.status != http.StatusOK || !strings.Contains(got.text, "<h1>Keys</h1>") {
		t.Errorf("with a session: %+v", got)
	}
	// The API next to it is unchanged.
	s.want(http.StatusNotFound, "GET", "/consoles", "", "")
	s.want(http.StatusNotFound, "GET", "/", "", "")
	s.wantRoot(t, "/console")
	s.wantLog(" docs=" + s.url + "/docs console=" + s.url + "/console ")
	s.want(http.StatusOK, "GET", "/v1/api-keys", secret, "")
	// Revoking a key ends its sessions at once.
	made := s.want(http.StatusCreated, "POST", "/v1/api-keys", secret, `{"name":"reader","expires_at":"2090-01-01T00:00:00Z"}`)
	cookie = s.signIn(made.Secret)
	s.want(http.StatusOK, "DELETE", "/v1/api-keys/"+made.ID, secret, "")
	if got := s.page("/console/keys", cookie); got.status != http.StatusSeeOther {
		t.Errorf("the session of a revoked key: %+v", got)
	}
}

// wantRoot checks whether the server's root redirects a browser, and where.
func (s *server) wantRoot(t *testing.T, to string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/", nil)
	must(t, err)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	answer, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	must(t, answer.Body.Close())
	if got := answer.Header.Get("Location"); got != to || (to == "") != (answer.StatusCode == http.StatusNotFound) {
		t.Errorf("a browser is answered %d and sent to %q, want %q", answer.StatusCode, got, to)
	}
}

// Without the console, its paths do not exist.
func TestNoConsole(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{
		"by flag":     serve(t, t.TempDir(), "--console=false"),
		"by variable": serveWith(t, t.TempDir(), []string{"APIKEYD_CONSOLE=false"}, "--listen", "127.0.0.1:0", "--console-key-file", "missing"),
	} {
		s.wantRoot(t, "")
		if out := s.output.String(); strings.Contains(out, "/console") {
			t.Errorf("%s: the log says\n%s", name, out)
		}
		for _, path := range []string{"/console", "/console/keys", "/console/sign-in", "/console/assets/console.js"} {
			if a := s.want(http.StatusNotFound, "GET", path, "", ""); a.Code != "PATH_NOT_FOUND" {
				t.Errorf("%s, %s: %s", name, path, a.body)
			}
		}
	}
}

// A session survives a restart, and is valid on other nodes, if and only if they have the same key.
func TestConsoleKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secretFile := filepath.Join(dir, "console.key")
	must(t, os.WriteFile(secretFile, bytes.Repeat([]byte("k"), 32), 0o600))
	first := serve(t, dir, "--console-key-file", "console.key")
	cookie := first.signIn(first.adminKey())
	must(t, first.terminate())

	// Copying a file may add a line break at its end.
	must(t, os.WriteFile(secretFile, append(bytes.Repeat([]byte("k"), 32), '\n'), 0o600))
	second := serveWith(t, dir, []string{"APIKEYD_CONSOLE_KEY_FILE=console.key"}, "--listen", "127.0.0.1:0")
	if got := second.page("/console/keys", cookie); got.status != http.StatusOK {
		t.Errorf("with the same key: %+v", got)
	}
	if strings.Contains(second.output.String(), "all users of this machine") {
		t.Errorf("a private file is warned of:\n%s", second.output.String())
	}
	must(t, second.terminate())

	third := serve(t, dir)
	if got := third.page("/console/keys", cookie); got.status != http.StatusSeeOther || !strings.Contains(got.location, "why=ended") {
		t.Errorf("with a key of its own: %+v", got)
	}
	must(t, third.terminate())

	must(t, os.Chmod(secretFile, 0o644))
	fourth := serve(t, dir, "--console-key-file", "console.key")
	if log := fourth.output.String(); !strings.Contains(log, "all users of this machine can read the key of the console's sessions") {
		t.Errorf("nobody is warned of a key that everybody reads:\n%s", log)
	}
}

// An unusable key file leaves no database behind.
func TestBadConsoleKeyFile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, says string }{
		"missing":  {"missing", "--console-key-file: open missing: "},
		"short":    {"short", "--console-key-file: the file needs at least 32 random bytes"},
		"a folder": {".", "--console-key-file: read .: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "short"), bytes.Repeat([]byte("k"), 31), 0o600))
			p, err := launch(dir, nil, "serve", "--listen", "127.0.0.1:0", "--console-key-file", tt.file)
			must(t, err)
			must(t, p.waitExit(exitFailure))
			if !strings.Contains(p.output.String(), tt.says) {
				t.Errorf("it says: %s", p.output.String())
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("it leaves %v (%v)", left, err)
			}
		})
	}
}
