package contracttest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	contracttest "apikeyd/internal/testkit/contract"
)

const goodKey = `{"id":"0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f","name":"ci","owner":"acme","prefix":"ak_0TTLJ726",
	"scopes":["keys:read"],"metadata":{},"status":"ACTIVE","enabled":true,"created_at":"2026-11-23T12:00:00.000Z","expires_at":"2030-01-31T12:00:00.000Z"}`

// verdict records what a transport reports instead of failing this test.
type verdict struct {
	testing.TB
	errors []string
}

func (v *verdict) Errorf(format string, args ...any) {
	v.errors = append(v.errors, fmt.Sprintf(format, args...))
}

// canned is a handler with a fixed answer.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for name, values := range c.header {
		w.Header()[name] = values
	}
	w.WriteHeader(c.status)
	_, _ = w.Write([]byte(c.body))
}

func load(t *testing.T) *contracttest.Contract {
	t.Helper()
	text, err := os.ReadFile("../../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	contract, err := contracttest.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

// TestTransportNotices tests the checker: it reports each way to break the contract, and nothing for
// valid exchanges.
func TestTransportNotices(t *testing.T) {
	contract := load(t)
	changed := func(old, replacement string) string { return strings.Replace(goodKey, old, replacement, 1) }
	const create = `{"name":"ci","expires_at":"2030-01-31T12:00:00Z"}`
	withSecret := changed(`"id"`, `"secret":"ak_0TTLJ7262N7GDCxJUcKj0D0123456789ABCDEFGHIJKLMNOPQRSTUV2AkYls","id"`)
	for name, tt := range map[string]struct {
		method, path, sent string
		answer             canned
		want               string // part of the report; empty means no report
	}{
		"a good answer": {"GET", "/v1/api-keys/ci", "", canned{200, nil, goodKey}, ""},
		"a good answer with its headers": {"GET", "/v1/api-keys/a%2Fb", "", canned{200,
			http.Header{"X-Request-Id": {"R"}, "Cache-Control": {"no-store"}}, goodKey}, ""},
		"a good creation": {"POST", "/v1/api-keys", create, canned{201, nil, withSecret}, ""},
		"a good refusal of a bad request": {"POST", "/v1/api-keys", `{"x":1}`,
			canned{400, nil, `{"status":400,"message":"m","code":"INVALID_REQUEST","request_id":"r"}`}, ""},
		"what the contract does not have": {"GET", "/elsewhere", "", canned{200, nil, "?"}, ""},
		"a status that is not documented": {"GET", "/v1/api-keys/ci", "", canned{204, nil, ""}, "status 204"},
		"a header that is not documented": {"GET", "/v1/api-keys/ci", "",
			canned{200, http.Header{"X-Powered-By": {"x"}}, goodKey}, "X-Powered-By"},
		"a property that is not documented": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed(`"id"`, `"hash":"h","id"`)}, "hash"},
		"a property that is missing": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed(`"name":"ci",`, "")}, "name"},
		"a secret where none belongs": {"GET", "/v1/api-keys/ci", "", canned{200, nil, withSecret}, "secret"},
		"a date that is none": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed("2030-01-31T12:00:00.000Z", "2030-01-31")}, "expires_at"},
		"a GET that leaves its method out": {"", "/v1/api-keys/ci", "",
			canned{200, nil, changed(`"id"`, `"hash":"h","id"`)}, "hash"},
		"an id that is none": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed("0197a1b2-", "0197a1b2")}, "id"},
		"a status that is none": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed("ACTIVE", "active")}, "status"},
		"another media type": {"GET", "/v1/api-keys/ci", "",
			canned{200, http.Header{"Content-Type": {"text/plain"}}, goodKey}, "text/plain"},
		"an error of another shape": {"GET", "/v1/api-keys/ci", "", canned{404, nil, `{"error":"no"}`}, "message"},
		"metadata with names of the caller's": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed(`"metadata":{}`, `"metadata":{"plan":"pro"," odd. ":"x"}`)}, ""},
		"metadata that is no text": {"GET", "/v1/api-keys/ci", "",
			canned{200, nil, changed(`"metadata":{}`, `"metadata":{"plan":1}`)}, "plan"},
		"a gateway's request, as it came": {"GET", "/v1/forward-auth?page=1&page=2", "anything",
			canned{200, http.Header{"Content-Type": nil, "X-Api-Key-Id": {"i"}}, ""}, ""},
		"a body where the contract has none": {"GET", "/v1/forward-auth", "",
			canned{200, http.Header{"Content-Type": {"text/plain"}}, "ok"}, "body"},
		"a bad request that was accepted": {"POST", "/v1/api-keys", `{"name":"ci"}`,
			canned{201, nil, withSecret}, "accepted a request"},
		"an unknown property that was accepted": {"POST", "/v1/api-keys", strings.Replace(create, "{", `{"x":1,`, 1),
			canned{201, nil, withSecret}, "accepted a request"},
		"an unknown query parameter that was accepted": {"GET", "/v1/api-keys/ci?colour=red", "",
			canned{200, nil, goodKey}, "accepted a request"},
		"an unexpected body that was accepted": {"GET", "/v1/api-keys/ci", "{}",
			canned{200, nil, goodKey}, "accepted a request"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			v := &verdict{TB: t}
			client := http.Client{Transport: &contracttest.Transport{TB: v, Contract: contract, Base: http.DefaultTransport}}
			r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.sent))
			if err != nil {
				t.Fatal(err)
			}
			r.Method = tt.method
			if tt.sent == "" {
				r.Body, r.ContentLength = nil, 0
			} else {
				r.Header.Set("Content-Type", "application/json")
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close() // the transport read it
			reported := strings.Join(v.errors, "\n")
			if (tt.want == "") != (reported == "") || !strings.Contains(reported, tt.want) {
				t.Errorf("reported is %q, want %q in it", reported, tt.want)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	contract := load(t)
	var coverage contracttest.Coverage
	server := httptest.NewServer(canned{200, nil, goodKey})
	defer server.Close()
	client := http.Client{Transport: &contracttest.Transport{
		TB: t, Contract: contract, Base: http.DefaultTransport, Coverage: &coverage}}
	answer, err := client.Get(server.URL + "/v1/api-keys/ci")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // the transport read it

	seen := contracttest.Answer{Operation: "getApiKey", Status: "200"}
	unseen := contracttest.Answer{Operation: "getApiKey", Status: "404"}
	unknown := contracttest.Answer{Operation: "getApiKey", Status: "418"}
	gaps := strings.Join(coverage.Gaps(contract, map[contracttest.Answer]string{
		seen: "it was seen", unknown: "there is no such answer",
	}), "\n")
	for _, want := range []string{
		"getApiKey 404 was never seen", "getApiKey 200 is excused, but was seen",
		"getApiKey 418 is excused, but not in the contract",
	} {
		if !strings.Contains(gaps, want) {
			t.Errorf("the gaps do not say that %s:\n%s", want, gaps)
		}
	}
	gaps = strings.Join(coverage.Gaps(contract, map[contracttest.Answer]string{unseen: "a reason"}), "\n")
	if strings.Contains(gaps, "getApiKey 404") || strings.Contains(gaps, "getApiKey 200") {
		t.Errorf("an excused or a seen answer is a gap:\n%s", gaps)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":        "",
		"no contract":    "hello",
		"broken":         "openapi: 3.0.3\ninfo: {title: t}\npaths: {}\n",
		"broken pointer": "openapi: 3.0.3\ninfo: {title: t, version: v}\npaths: {/x: {get: {responses: {'200': {$ref: '#/nowhere'}}}}}\n",
	} {
		if _, err := contracttest.Load([]byte(text)); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
}
