package cli

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"apikeyd/apikey"
)

// Servers that are something else, or do not work: one line each, and the secret is sent nowhere else.
func TestServersInTrouble(t *testing.T) {
	t.Parallel()
	var strayed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		strayed.Add(1)
		t.Errorf("another host was asked: %s %s", r.Method, r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	says := func(status int, kind, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Location", elsewhere.URL+"/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never answers
	must(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, nobody.Close())

	for _, test := range []struct{ name, url, want string }{
		{"nobody there", "http://" + nobody.Addr().String(), "URL: no answer: .*connection refused; is apikeyd serving there\\?"},
		{"no answer", "http://" + silent.Addr().String(), "URL: no answer in time; is apikeyd serving there\\? --timeout sets a longer wait"},
		{"no such host", "http://keys.invalid", "URL: no answer: .*keys.invalid"},
		{"an untrusted certificate", tls.URL, "URL: no answer: .*certificate.*; this machine does not trust the certificate of the server"},
		{"TLS asked without", strings.Replace(tls.URL, "https:", "http:", 1), "URL(: no answer: EOF| answers with status 400: .*); if it uses TLS, its URL is https://"}, // the server hangs up in between
		{"no TLS", strings.Replace(elsewhere.URL, "http:", "https:", 1), "URL: no answer: .*the server does not use TLS: its URL begins with http://"},
		{"a web page", says(200, "text/html", "<html>\x1b[31mHello"), "URL answers with status 200: the answer \\(text/html\\) does not come from apikeyd"},
		{"another API", says(200, "application/json", `{"hello":"world"}`), "URL answers with status 200: .*application/json"},
		{"a redirect", says(302, "text/html", ""), "URL answers with status 302: .*redirect, which is not followed"},
		{"a broken proxy", says(502, "text/html", "Bad Gateway"), "URL answers with status 502: "},
		{"a defect", says(500, "application/json", `{"status":500,"code":"INTERNAL","message":"something went wrong here","request_id":"RQ7"}`),
			"something went wrong here \\(request RQ7\\)"},
		{"fields", says(400, "application/json", `{"status":400,"code":"INVALID_REQUEST","message":"one is wrong","request_id":"RQ8","details":[{"field":"one","message":"is wrong"},{"field":"two","message":"too"}]}`),
			"one is wrong; two too \\(request RQ8\\)"},
		{"what harms a terminal", says(403, "application/json", `{"status":403,"code":"FORBIDDEN","message":"no\u001b[2J\n"}`), `no\\x1b\[2J\\n`},
		{"a password in it", "http://me:hunter2@127.0.0.1", "the base URL must not hold a user or password"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
			timeout := "1m" // longer than a busy machine needs
			if test.name == "no answer" {
				timeout = "700ms"
			}
			for _, args := range [][]string{{"keys", "list"}, {"keys", "revoke", "ci"}, {"login"}} {
				env := []string{"APIKEYD_KEY=" + secret, "HOME=" + t.TempDir(), "HTTP_PROXY=" + elsewhere.URL}
				cmd, err := apikeyd(t.TempDir(), env, append(args, "--url", test.url, "--timeout", timeout)...)
				must(t, err)
				out, err := cmd.CombinedOutput()
				if err == nil || cmd.ProcessState.ExitCode() != exitFailure {
					t.Errorf("%q: %v", args, err)
				}
				want := "^apikeyd: error: (nothing was kept: )?" + regexp.MustCompile(`^URL`).ReplaceAllLiteralString(test.want, regexp.QuoteMeta(test.url))
				lines := strings.TrimSuffix(string(out), "\n")
				lines = strings.TrimPrefix(lines, "Warning: http:// sends your key unencrypted to another machine; use https:// if you can.\n")
				if !regexp.MustCompile(want).MatchString(lines) || strings.Contains(lines, "\n") {
					t.Errorf("%q says\n%s\nwant %s", args, out, want)
				}
				if wantNoSecret(t, string(out)); strings.Contains(string(out), "hunter2") || strings.Contains(string(out), "\x1b") {
					t.Errorf("%q says %q", args, out)
				}
			}
		})
	}
	t.Cleanup(func() {
		if n := strayed.Load(); n > 0 {
			t.Errorf("%d requests went to another host", n)
		}
	})
}

// An interrupt ends a command that waits for a server.
func TestInterruptWhileWaiting(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	p, err := launch(t.TempDir(), []string{"APIKEYD_KEY=" + secret}, "keys", "list", "--url", s.URL)
	must(t, err)
	t.Cleanup(p.kill)
	<-asked
	must(t, p.cmd.Process.Signal(syscall.SIGINT))
	must(t, p.waitExit(exitInterrupted))
	if got := p.output.String(); got != "apikeyd: error: interrupted\n" {
		t.Errorf("it says %q", got)
	}
}

// --json prints what the API answers, with every property.
func TestJSONIsTheContracts(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	made := s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), `{"name":"ci <&> мой","expires_at":"2100-01-31T12:00:00.120Z",
		"owner":"acme","scopes":["a:b"],"metadata":{"x":"y\u001b"},"rate_limit":{"limit":7,"window_seconds":61}}`)
	s.want(http.StatusOK, "POST", "/v1/api-keys/"+made.ID+"/rotate", s.adminKey(), `{"grace_seconds":3600}`)
	s.want(http.StatusOK, "POST", "/v1/verify", s.adminKey(), `{"key":"`+made.Secret+`"}`)
	must(t, s.terminate()) // writes its last use, which then stays the same
	s = serve(t, s.dir)
	where := []string{"--url", s.url, "--key-file", "admin.key"}
	for _, revoked := range []bool{false, true} {
		if revoked {
			s.want(http.StatusOK, "DELETE", "/v1/api-keys/"+made.ID, s.adminKey(), "")
		}
		want := sortedJSON(t, s.want(http.StatusOK, "GET", "/v1/api-keys/"+made.ID, s.adminKey(), "").body)
		if got := sortedJSON(t, s.command(append([]string{"keys", "get", made.ID, "--json"}, where...)...)); got != want {
			t.Errorf("keys get says\n%s\nthe API\n%s", got, want)
		}
		line := s.command(append([]string{"keys", "list", "--owner", "acme", "--json"}, where...)...)
		if got := sortedJSON(t, line); got != want {
			t.Errorf("keys list says\n%s\nthe API\n%s", got, want)
		}
		must(t, os.WriteFile(filepath.Join(s.dir, "shown"), []byte(made.Secret), 0o600))
		want = sortedJSON(t, s.want(http.StatusOK, "POST", "/v1/verify", s.adminKey(), `{"key":"`+made.Secret+`","scopes":["c:d"]}`).body)
		cmd, err := apikeyd(s.dir, nil, append([]string{"keys", "verify", "--secret-file", "shown", "--scope", "c:d", "--json"}, where...)...)
		must(t, err)
		out, _ := cmd.Output() // it is refused
		if got := sortedJSON(t, string(out)); got != want {
			t.Errorf("keys verify says\n%s\nthe API\n%s", got, want)
		}
	}
	wantCreated := s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("one"))
	gotCreated := s.command(append([]string{"keys", "create", "--name", "two", "--expires-in", "1h", "--json"}, where...)...)
	if got, want := propertiesOf(t, gotCreated), propertiesOf(t, wantCreated.body); got != want {
		t.Errorf("keys create answers with %s, the API with %s", got, want)
	}
}

func decodedJSON(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	must(t, json.Unmarshal([]byte(text), &object))
	return object
}

func sortedJSON(t *testing.T, text string) string {
	t.Helper()
	sorted, err := json.Marshal(decodedJSON(t, text))
	must(t, err)
	return string(sorted)
}

func propertiesOf(t *testing.T, text string) string {
	t.Helper()
	return strings.Join(slices.Sorted(maps.Keys(decodedJSON(t, text))), " ")
}
