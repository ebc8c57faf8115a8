package cli

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	identitytest "apikeyd/internal/testkit/identity"
)

// The program signs people in at a provider that is away when it starts, and a link opens once.
func TestProgramSignsOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "grants.json"), []byte(`[{"value": "admins", "owner": "admin", "scopes": ["keys:admin"]}]`), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "oidc.secret"), []byte(identitytest.Secret+"\n"), 0o600))
	const here = "http://keys.test"
	provider := identitytest.Start(t, here+"/console/sso/callback")
	provider.Away.Store(true)
	flags := []string{"--console-sign-in", "key,oidc", "--public-url", here + "/", "--oidc-issuer", provider.URL, "--oidc-client-id", identitytest.Client,
		"--oidc-client-secret-file", "oidc.secret", "--oidc-grants-file", "grants.json", "--owner-links-title", "Acme"}
	s := serve(t, dir, flags...)
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	visit := func(method, path string, form url.Values) (status int, location string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := browser.Do(r)
		must(t, err)
		must(t, answer.Body.Close())
		return answer.StatusCode, answer.Header.Get("Location")
	}
	if got, _ := visit(http.MethodGet, "/console/sso", nil); got != http.StatusServiceUnavailable {
		t.Errorf("while the provider is away: status %d", got)
	}
	provider.Away.Store(false)
	var to string
	for deadline := time.Now().Add(time.Minute); to == ""; {
		var status int
		if status, to = visit(http.MethodGet, "/console/sso", nil); status != http.StatusSeeOther && time.Now().After(deadline) {
			t.Fatalf("the provider is back: status %d", status)
		}
	}
	back := strings.TrimPrefix(provider.SignIn(t, to, "alice"), here)
	if got, _ := visit(http.MethodGet, back, nil); got != http.StatusOK {
		t.Errorf("coming back from the provider: status %d", got)
	}
	if got, _ := visit(http.MethodGet, "/console/audit", nil); got != http.StatusOK {
		t.Errorf("alice, who is an admin, gets status %d", got)
	}
	found := s.command(append([]string{"doctor"}, flags...)...)
	if !strings.Contains(found, "ok       single sign-on") {
		t.Errorf("the doctor says:\n%s", found)
	}
	if got, _ := visit(http.MethodPost, "/console/sign-out", nil); got != http.StatusOK {
		t.Errorf("signing out: status %d", got)
	}

	_, token, _ := strings.Cut(strings.TrimSpace(s.command("owners", "link", "acme", "--public-url", here)), "#")
	for i, want := range []int{http.StatusSeeOther, http.StatusForbidden} {
		if got, _ := visit(http.MethodPost, "/console/link/open", url.Values{"token": {token}}); got != want {
			t.Errorf("opening a link for the %d. time: status %d", i+1, got)
		}
	}
	if strings.Contains(s.output.String(), token) || strings.Contains(s.output.String(), "code=") {
		t.Errorf("the log holds a token or a code:\n%s", s.output.String())
	}
}
