package metrics_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"apikeyd/apikey"
)

// Each event moves its own metrics, and no others.
func TestCounts(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	_, admin := k.Add(t, "admin", "admin", apikey.ScopeAdmin)
	_, plain := k.Add(t, "team", "plain")
	const create = `{"name":%q,"expires_at":"2099-01-01T00:00:00Z"}`
	for _, step := range []struct {
		name         string
		status       int
		method, path string
		by           apikey.Secret
		body         string
		moves        string // series that increase by one, without apikeyd_
	}{
		{"change", 201, "POST", "/v1/api-keys", admin, fmt.Sprintf(create, "ci"),
			`http_requests_total{operation="createApiKey",status="201"} changes_total{action="create"} ` +
				`commit_changes_count commit_changes_sum commit_duration_seconds_count authentications_total{code="VALID"}`},
		{"name taken", 409, "POST", "/v1/api-keys", admin, fmt.Sprintf(create, "ci"),
			`http_requests_total{operation="createApiKey",status="409"} refusals_total{code="NAME_TAKEN"}`},
		{"revocation", 200, "DELETE", "/v1/api-keys/ci", admin, "",
			`http_requests_total{operation="revokeApiKey",status="200"} changes_total{action="revoke"}`},
		{"no credentials", 401, "GET", "/v1/api-keys", apikey.Secret{}, "",
			`http_requests_total{operation="listApiKeys",status="401"} refusals_total{code="CREDENTIAL_MISSING"}`},
		{"too few scopes", 403, "GET", "/v1/api-keys", plain, "",
			`authentications_total{code="INSUFFICIENT_SCOPE"} refusals_total{code="INSUFFICIENT_SCOPE"}`},
		{"verified", 200, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, plain.Reveal()),
			`verifications_total{code="VALID",operation="verifyApiKey"} http_requests_total{operation="verifyApiKey",status="200"}`},
		{"not verified", 200, "POST", "/v1/verify", admin, `{"key":"x"}`,
			`verifications_total{code="NOT_FOUND",operation="verifyApiKey"}`},
		{"first seen", 200, "GET", "/v1/forward-auth", plain, "",
			`verifications_total{code="VALID",operation="forwardAuth"} http_request_duration_seconds_count{operation="forwardAuth"}`},
		{"by another method", 200, "PUT", "/v1/forward-auth/x/y", plain, "",
			`verifications_total{code="VALID",operation="forwardAuth"}`},
		{"remembered", 200, "GET", "/v1/forward-auth", plain, "", `verify_cache_hits_total`},
		{"leak", 202, "POST", "/v1/leaked-keys", apikey.Secret{}, fmt.Sprintf(`{"key":%q}`, plain.Reveal()),
			`changes_total{action="leak"} http_requests_total{operation="reportLeakedKey",status="202"}`},
		{"no leak", 202, "POST", "/v1/leaked-keys", apikey.Secret{}, `{"key":"x"}`,
			`http_requests_total{operation="reportLeakedKey",status="202"}`},
		{"healthz", 200, "GET", "/healthz", apikey.Secret{}, "", `http_requests_total{operation="healthz",status="200"}`},
		{"readyz", 200, "GET", "/readyz", apikey.Secret{}, "", `http_requests_total{operation="readyz",status="200"}`},
		{"nothing there", 404, "GET", "/x", apikey.Secret{}, "", `http_requests_total{operation="other",status="404"}`},
		{"wrong method", 405, "PUT", "/v1/api-keys", apikey.Secret{}, "", `http_requests_total{operation="other",status="405"}`},
	} {
		_, before := k.scrape()
		secret := ""
		if step.by != (apikey.Secret{}) {
			secret = step.by.Reveal()
		}
		if status := k.ask(step.method, step.path, secret, step.body); status != step.status {
			t.Fatalf("%s: status %d, want %d", step.name, status, step.status)
		}
		for name := range strings.FieldsSeq(step.moves) {
			name = "apikeyd_" + name
			var was float64
			if before[name] != "" {
				_, _ = fmt.Sscan(before[name], &was)
			}
			k.wait(name, fmt.Sprint(was+1))
		}
	}
	_, all := k.scrape()
	for name, want := range map[string]string{
		"apikeyd_http_requests_in_flight":                                     "0",
		`apikeyd_changes_total{action="leak"}`:                                "1", // an ineffective report does not count
		`apikeyd_changes_total{action="create"}`:                              "3",
		"apikeyd_verify_cache_trusted":                                        "1",
		"apikeyd_writer_queue_depth":                                          "0",
		"apikeyd_writer_queue_capacity":                                       "4096",
		`apikeyd_build_info{goversion="go1",revision="abc",version="v1.2.3"}`: "1",
	} {
		if all[name] != want {
			t.Errorf("%s is %q, want %q", name, all[name], want)
		}
	}
}

// The names follow Prometheus' conventions.
func TestLint(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.everything()
	text, _ := k.scrape()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Requests cannot create new series, whatever they hold.
func TestCardinalityIsBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.everything()
	_, admin := k.Add(t, "boss", "boss", apikey.ScopeAdmin)
	round := func(i int) {
		_, secret := k.Add(t, fmt.Sprintf("owner-%d", i), fmt.Sprintf("name-%d", i))
		k.ask("GET", fmt.Sprintf("/path-%d", i), "", "")
		k.ask(fmt.Sprintf("METHOD%d", i), "/healthz", "", "")
		k.ask(fmt.Sprintf("METHOD%d", i), fmt.Sprintf("/v1/forward-auth/%d", i), secret.Reveal(), "")
		k.ask("GET", fmt.Sprintf("/v1/api-keys/%d?owner=%d", i, i), admin.Reveal(), "")
		k.ask("GET", fmt.Sprintf("/v1/forward-auth?scope=scope-%d", i), secret.Reveal(), "")
	}
	round(0)
	_, before := k.scrape()
	for i := range 50 {
		round(i + 1)
	}
	text, after := k.scrape()
	for name := range after {
		if _, known := before[name]; !known && strings.HasPrefix(name, "apikeyd_") {
			t.Errorf("there is a new series %s", name)
		}
	}
	for _, made := range []string{"owner-7", "name-7", "path-7", "METHOD7", "scope-7"} {
		if strings.Contains(text, made) {
			t.Errorf("the scrape holds %s", made)
		}
	}
}

// Keys change their status over time, so they are counted, and another process makes backups.
func TestKeysAndBackup(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.wait(`apikeyd_keys{status="ACTIVE"}`, "0")
	_, all := k.scrape()
	if all["apikeyd_keys_counted_timestamp_seconds"] == "" {
		t.Error("the scrape does not say when the keys were counted")
	}
	if got := all["apikeyd_last_backup_timestamp_seconds"]; got != "1.8960912005e+09" {
		t.Errorf("the last backup was made at %s", got)
	}
}

// everything makes every metric appear.
func (k *kit) everything() {
	k.t.Helper()
	k.wait(`apikeyd_keys{status="ACTIVE"}`, "0")
	_, secret := k.Add(k.t, "team", "ci", apikey.ScopeRead)
	for path, want := range map[string]int{
		"/v1/api-keys": http.StatusOK, "/v1/api-keys/x": http.StatusNotFound, "/x": http.StatusNotFound,
	} {
		if status := k.ask("GET", path, secret.Reveal(), ""); status != want {
			k.t.Fatalf("%s: status %d", path, status)
		}
	}
}
