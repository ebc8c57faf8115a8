//go:build full

package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"apikeyd/apikey"
	"apikeyd/conformance"
	"apikeyd/gen"
	servertest "apikeyd/internal/testkit/server"
)

// fault breaks a working service. Both functions may call the service.
type fault struct {
	before func(service http.Handler, r *http.Request)                               // changes the request
	after  func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) // changes the answer
}

// planted is a fault, the prefix of the check that must find it, and a part of the finding. Each run
// makes a new fault.
type planted struct {
	make           func() fault
	check, finding string
}

func plantedFaults(t *testing.T) map[string]planted {
	all, n := make(map[string]planted), 0
	for _, some := range []map[string]planted{
		contractFaults, listFaults, metadataFaults, rotationFaults, etagFaults, verificationFaults, introspectionFaults,
		suspensionFaults, ownerFaults, linkFaults, importFaults, networkFaults, rateLimitFaults, quotaFaults, forwardAuthFaults, leakFaults, usageFaults, auditFaults, historyFaults, reviewFaults, webhookFaults,
		throttlingFaults, deploymentFaults,
	} {
		maps.Copy(all, some)
		n += len(some)
	}
	if len(all) != n {
		t.Errorf("%d faults have only %d names", n, len(all))
	}
	return all
}

// broken wraps a service with a fault.
func broken(f fault) func(http.Handler) http.Handler {
	return func(service http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			setBody(r, string(sentText(r)))
			if f.before != nil {
				f.before(service, r)
			}
			sent := sentText(r)
			a := httptest.NewRecorder()
			service.ServeHTTP(a, r.Clone(r.Context())) // the service may change its request
			setBody(r, string(sent))
			if f.after != nil {
				f.after(service, r, a)
			}
			for name, values := range a.Header() {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Length", strconv.Itoa(a.Body.Len()))
			w.WriteHeader(a.Code)
			_, _ = w.Write(a.Body.Bytes())
		})
	}
}

// sentText returns the body of a request, which can still be read afterwards.
func sentText(r *http.Request) []byte {
	text, _ := io.ReadAll(r.Body) // an error means that the client disconnected
	r.Body = io.NopCloser(bytes.NewReader(text))
	return text
}

func setBody(r *http.Request, text string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
}

// sentJSON returns the body of a request, or nil unless it is a JSON object.
func sentJSON(r *http.Request) map[string]any {
	var body map[string]any
	_ = json.Unmarshal(sentText(r), &body) // leaves nil
	return body
}

// rewrite changes the JSON of an answer.
func rewrite(a *httptest.ResponseRecorder, change func(body map[string]any)) {
	var body map[string]any
	if json.Unmarshal(a.Body.Bytes(), &body) != nil {
		return
	}
	change(body)
	text, _ := json.Marshal(body) // it came from JSON
	a.Body = bytes.NewBuffer(text)
}

// refuse turns an answer into an error.
func refuse(a *httptest.ResponseRecorder, status int) {
	a.Code = status
	a.Header().Set("Content-Type", "application/json")
	a.Header().Set("WWW-Authenticate", "Bearer")
	a.Body = bytes.NewBufferString(fmt.Sprintf(`{"status":%d,"code":"REFUSED","message":"no","request_id":%q}`,
		status, a.Header().Get("X-Request-Id")))
}

// ask calls the service with the key of a request.
func ask(service http.Handler, r *http.Request, method, target, body string) *httptest.ResponseRecorder {
	asked := httptest.NewRequest(method, target, strings.NewReader(body))
	asked.Header.Set("X-Api-Key", r.Header.Get("X-Api-Key"))
	if body != "" {
		asked.Header.Set("Content-Type", "application/json")
	}
	a := httptest.NewRecorder()
	service.ServeHTTP(a, asked)
	return a
}

// answers makes a fault that changes only answers.
func answers(f func(http.Handler, *http.Request, *httptest.ResponseRecorder)) func() fault {
	return func() fault { return fault{after: f} }
}

// always is answers for faults that do not call the service.
func always(f func(*http.Request, *httptest.ResponseRecorder)) func() fault {
	return answers(func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) { f(r, a) })
}

// requests makes a fault that changes requests.
func requests(f func(*http.Request)) func() fault {
	return func() fault { return fault{before: func(_ http.Handler, r *http.Request) { f(r) }} }
}

// sentBodies makes a fault that changes JSON bodies of requests.
func sentBodies(applies func(*http.Request) bool, change func(body map[string]any)) func() fault {
	return requests(func(r *http.Request) {
		if body := sentJSON(r); body != nil && applies(r) {
			change(body)
			text, _ := json.Marshal(body) // it came from JSON
			setBody(r, string(text))
		}
	})
}

// withAdmin makes a fault with access to the suite's key: that of the first request with one.
func withAdmin(f func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder)) func() fault {
	return func() fault {
		var mu sync.Mutex
		var first *http.Request
		return fault{after: func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			mu.Lock()
			if first == nil && r.Header.Get("X-Api-Key") != "" {
				first = r.Clone(r.Context())
			}
			admin := first
			mu.Unlock()
			if admin != nil {
				f(admin, service, r, a)
			}
		}}
	}
}

func isList(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/v1/api-keys" }

func isOne(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/api-keys/")
}

func isPatch(r *http.Request) bool { return r.Method == http.MethodPatch }

func isCreation(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/v1/api-keys"
}

func isRotation(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/rotate") }

func isVerify(r *http.Request) bool { return r.URL.Path == "/v1/verify" }

func isIntrospection(r *http.Request) bool { return r.URL.Path == "/v1/introspect" }

func isForwardAuth(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/forward-auth") }

func isAudit(r *http.Request) bool { return r.URL.Path == "/v1/audit-events" }

func isScan(r *http.Request) bool { return r.URL.Path == "/v1/secret-scanning/github" }

func isLeakReport(r *http.Request) bool { return r.URL.Path == "/v1/leaked-keys" }

// TestPlantedFaults breaks the service in one way after another. The suite must find each fault, in
// the check that is about it.
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range plantedFaults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &skippingClock{}
			s := servertest.Start(t, servertest.Options{Now: clock.Now, Handler: broken(tt.make())})
			_, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
			// Not the checking client, because the contract is broken on purpose.
			report, err := conformance.Run(t.Context(), conformance.Options{
				URL: s.URL, Key: secret.Reveal(), Contract: gen.Contract, Client: s.Plain,
			}.OnlyAbout(tt.check).By(clock))
			if err != nil {
				t.Fatal(err)
			}
			found := findingOf(report, tt.check, tt.finding)
			if found == "" {
				t.Errorf("no finding with %q in %q; the report is\n%s", tt.finding, tt.check, findings(report))
			}
			if strings.Contains(findings(report), secret.Reveal()) {
				t.Error("the report contains a secret")
			}
			wantReadable(t, report)
			t.Logf("found: %s", found)
		})
	}
}

// wantReadable looks for what Go prints where a value is absent or of another type.
func wantReadable(t *testing.T, report conformance.Report) {
	t.Helper()
	for line := range strings.Lines(findings(report)) {
		for _, odd := range []string{"%!", "<nil>", "map["} {
			if strings.Contains(line, odd) {
				t.Errorf("a finding contains %s: %s", odd, line)
			}
		}
	}
}

// The suite survives a service whose answers have none of the types in the contract.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"null": nil, "numbers": 7, "lists of numbers": []any{1, nil}, "objects": map[string]any{"a": nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &skippingClock{}
			s := servertest.Start(t, servertest.Options{Now: clock.Now, Handler: broken(emptied(value)())})
			_, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
			report, err := conformance.Run(t.Context(), conformance.Options{
				URL: s.URL, Key: secret.Reveal(), Contract: gen.Contract, Client: s.Plain,
			}.By(clock))
			if err != nil || report.Count(conformance.Failed) < 50 {
				t.Errorf("%d checks failed, error %v", report.Count(conformance.Failed), err)
			}
			wantReadable(t, report)
		})
	}
}

// findingOf returns the first finding of a check that contains a text.
func findingOf(report conformance.Report, check, text string) string {
	for _, result := range report.Results {
		if !strings.HasPrefix(result.Check, check) || result.Outcome != conformance.Failed {
			continue
		}
		for _, finding := range result.Findings {
			if strings.Contains(finding, text) {
				return finding
			}
		}
	}
	return ""
}

func findings(report conformance.Report) string {
	var all strings.Builder
	for _, result := range report.Results {
		if result.Outcome == conformance.Failed {
			all.WriteString(result.Check + "\n\t" + strings.Join(result.Findings, "\n\t") + "\n")
		}
	}
	return all.String()
}
