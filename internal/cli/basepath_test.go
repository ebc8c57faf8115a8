package cli

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everything works below a base path, and nothing but the probes outside.
func TestBasePath(t *testing.T) {
	t.Parallel()
	s := serveWith(t, t.TempDir(), []string{"APIKEYD_BASE_PATH=/team/keys/"}, "--listen", "127.0.0.1:0", "--auth-failures-per-minute", "0")
	origin, isBelow := strings.CutSuffix(s.url, "/team/keys")
	if !isBelow {
		t.Fatalf("the log has the URL %s", s.url)
	}
	s.wantLog(" docs=" + s.url + "/docs console=" + s.url + "/console ")
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("made below"))
	s.wantRoot(t, "/team/keys/console")
	if got := s.page("/console/keys", s.signIn(s.adminKey())); got.status != http.StatusOK || !strings.Contains(got.text, `href="/team/keys/console/keys/new"`) {
		t.Errorf("the console: %+v", got)
	}
	if out := s.command("keys", "list", "--url", s.url, "--key-file", "admin.key"); !strings.Contains(out, "made below") {
		t.Errorf("the command line finds\n%s", out)
	}
	if out := s.command("healthcheck", "--listen", strings.TrimPrefix(origin, "http://")); out != "ready\n" {
		t.Errorf("healthcheck says %s", out)
	}
	below := s.url
	s.url = origin
	s.want(http.StatusOK, "GET", "/readyz", "", "")
	for _, path := range []string{"/v1/api-keys", "/console", "/", "/team", "/team/keysX/v1/api-keys", "/team%2Fkeys/v1/api-keys", "/docs", "/team/keys/team/keys/docs"} {
		if a := s.want(http.StatusNotFound, "GET", path, s.adminKey(), ""); a.Code != "PATH_NOT_FOUND" ||
			!strings.Contains(a.body, "--base-path") && path != "/team/keys/team/keys/docs" {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	s.url = below // conformance checks Location too
	wantConforms(t, s, nil, "--url", s.url, "--key-file", "admin.key")
}

// X-Forwarded-Prefix counts if a trusted proxy sends it, and only then.
func TestForwardedPrefix(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]string{"127.0.0.1": "/keys/v1/api-keys/", "192.0.2.1": "/v1/api-keys/"} {
		s := serve(t, t.TempDir(), "--trusted-proxies", trusted)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/api-keys", strings.NewReader(keyJSON("n")))
		must(t, err)
		r.Header = http.Header{"X-Api-Key": {s.adminKey()}, "Content-Type": {"application/json"}, "X-Forwarded-Prefix": {"/keys/"}}
		answer, err := httpClient.Do(r)
		must(t, err)
		must(t, answer.Body.Close())
		if got := answer.Header.Get("Location"); !strings.HasPrefix(got, want) {
			t.Errorf("with trusted proxies %s, Location is %q, want %s…", trusted, got, want)
		}
	}
}

// Nothing that a header can carry over the wire reaches an answer's head or a page unless it is a path.
func TestHostilePrefixes(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--trusted-proxies", "127.0.0.1")
	address := strings.TrimPrefix(s.url, "http://")
	for _, header := range []string{
		"X-Forwarded-Prefix: //evil.example", `X-Forwarded-Prefix: /\evil.example`, "X-Forwarded-Prefix: /evil.example/..",
		"X-Forwarded-Prefix: /evil.example\rSet-Cookie: evil.example=1", "X-Forwarded-Prefix: /keys\r\n Set-Cookie: evil.example=1",
		"X-Forwarded-Prefix: /keys%0d%0aSet-Cookie:evil.example=1", "X-Forwarded-Prefix: https://evil.example",
		"X-Forwarded-Prefix: /keys\r\nX-Forwarded-Prefix: /evil.example", "X-Forwarded-Prefix: /keys, /evil.example",
		`X-Forwarded-Prefix: /"><script src="/evil.example">`, "X-Forwarded-Prefix: /evil.example\x00", "X-Forwarded-Prefix: /" + strings.Repeat("evil.example/", 100),
	} {
		for _, path := range []string{"/", "/console", "/console/sign-in", "/console//keys", "/console/nowhere", "/docs", "/v1/api-keys"} {
			connection, err := net.Dial("tcp", address)
			must(t, err)
			_, err = io.WriteString(connection, "GET "+path+" HTTP/1.1\r\nHost: "+address+"\r\nAccept: text/html\r\nConnection: close\r\n"+header+"\r\n\r\n")
			must(t, err)
			answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
			must(t, err)
			body, err := io.ReadAll(answer.Body)
			must(t, err)
			must(t, errors.Join(answer.Body.Close(), connection.Close()))
			if text := strings.Join(answer.Header.Values("Location"), "") + strings.Join(answer.Header.Values("Set-Cookie"), "") + string(body); strings.Contains(text, "evil") {
				t.Errorf("%q at %s reaches the answer:\n%s", header, path, text)
			}
		}
	}
}

func TestBadBasePaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{"keys", "//keys", "/keys/../x", "https://example.com/keys", "/ключи", "/a b"} {
		p, err := launch(dir, nil, "serve", "--listen", "127.0.0.1:0", "--base-path", path)
		must(t, err)
		must(t, p.waitExit(exitUsage))
		if !strings.Contains(p.output.String(), "--base-path must be a path such as /keys") {
			t.Errorf("%s: it says %s", path, p.output.String())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "apikeyd.db")); err == nil {
		t.Error("a database was created")
	}
}
