package handlers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/internal/telemetry/metrics"
	"apikeyd/internal/telemetry/tracing"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// spans is an exporter that keeps all contents of spans as text.
type spans struct {
	mu    sync.Mutex
	names map[string]int
	text  strings.Builder
}

func (s *spans) ExportSpans(_ context.Context, all []sdk.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range all {
		s.names[span.Name()]++
		fmt.Fprintln(&s.text, span.Name(), span.SpanContext().TraceState(), span.Parent().TraceState(),
			span.Status(), span.Events(), span.Links())
		for _, a := range span.Attributes() {
			fmt.Fprintln(&s.text, a.Key, a.Value.String())
		}
	}
	return nil
}

func (s *spans) Shutdown(context.Context) error { return nil }

// observed holds a service's metrics and traces.
type observed struct {
	metrics *metrics.Metrics
	tracer  *tracing.Tracer
	spans   spans
}

// by returns the configuration of a service with metrics and traces.
func (o *observed) by(t *testing.T) func(*handlers.Config) {
	o.spans.names = make(map[string]int)
	return func(c *handlers.Config) {
		operations, err := handlers.Operations()
		if err != nil {
			t.Fatal(err)
		}
		db := c.Store.(*sqlstore.DB)
		if o.tracer, err = tracing.New(context.Background(), &o.spans, c.Log, "v1"); err != nil {
			t.Fatal(err)
		}
		traced := o.tracer.Store(db, db.System())
		c.Store = traced
		c.Log = slog.New(o.tracer.LogHandler(c.Log.Handler()))
		c.Verifier = verify.New(keycache.New(traced, keycache.Options{Now: c.Now}), c.Log, verify.Options{})
		o.metrics, err = metrics.New(metrics.Sources{Database: db, Verifier: c.Verifier, Operations: operations, Log: c.Log})
		if err != nil {
			t.Fatal(err)
		}
		c.Observers = append(o.metrics.Observers(), o.tracer.Observers()...)
	}
}

// nothingSecret checks that metrics and traces hold no secret.
func (o *observed) nothingSecret(k *kit) {
	k.Helper()
	k.must(o.tracer.Close(context.Background()))
	scrape := httptest.NewRecorder()
	o.metrics.Handler().ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	o.spans.mu.Lock()
	defer o.spans.mu.Unlock()
	for name, text := range map[string]string{"metrics": scrape.Body.String(), "traces": o.spans.text.String()} {
		if k.secrets.in(text) {
			k.Errorf("the %s hold a secret", name)
		}
		if !strings.Contains(text, "createApiKey") || !strings.Contains(text, "CREDENTIAL_INVALID") {
			k.Errorf("the %s do not tell what happened: what were they searched for?", name)
		}
	}
}

// told is an observer that records its calls.
type told struct {
	mu      sync.Mutex
	answers []handlers.Answer
}

func (o *told) Began(ctx context.Context, _ *http.Request) context.Context { return ctx }

func (o *told) Answered(_ context.Context, a *handlers.Answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers = append(o.answers, *a)
}

func TestObserver(t *testing.T) {
	t.Parallel()
	o := &told{}
	k := newKit(t, func(c *handlers.Config) { c.Observers = []handlers.Observer{o} })
	limited := k.add("team", "limited")
	k.get(k.admin, keyPath("admin")).want(200)
	k.get(key{}, keyPath("limited")).refused(401, "CREDENTIAL_MISSING")
	k.get(limited, keyPath("limited")).refused(403, "INSUFFICIENT_SCOPE")
	k.ask(k.admin, limited.Secret, "x")
	k.introspect(k.admin, limited.Secret)
	k.do(request{path: forwardPath, key: limited.Secret})
	k.do(request{method: "POST", path: forwardPath + "/a/b", key: limited.Secret, foreign: true})
	k.do(request{path: "/healthz"})
	k.do(request{path: "/no-such"})
	want := []handlers.Answer{
		{Operation: "getApiKey", Route: "/v1/api-keys/{key_name}", Status: 200, Authentication: verify.Valid},
		{Operation: "getApiKey", Route: "/v1/api-keys/{key_name}", Status: 401, Code: "CREDENTIAL_MISSING"},
		{
			Operation: "getApiKey", Route: "/v1/api-keys/{key_name}", Status: 403, Code: "INSUFFICIENT_SCOPE",
			Authentication: verify.InsufficientScope,
		},
		{
			Operation: "verifyApiKey", Route: "/v1/verify", Status: 200,
			Authentication: verify.Valid, Verification: verify.InsufficientScope,
		},
		{Operation: "introspectToken", Route: "/v1/introspect", Status: 200, Authentication: verify.Valid, Verification: verify.Valid},
		{Operation: "forwardAuth", Route: "/v1/forward-auth", Status: 200, Verification: verify.Valid},
		{Operation: "forwardAuth", Route: "/v1/forward-auth", Status: 200, Verification: verify.Valid},
		{Operation: "healthz", Route: "/healthz", Status: 200},
		{Operation: "other", Status: 404, Code: "PATH_NOT_FOUND"},
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if diff := cmp.Diff(want, o.answers, cmpopts.IgnoreFields(handlers.Answer{}, "RequestID", "Took")); diff != "" {
		t.Errorf("it was told (-want +got):\n%s", diff)
	}
	operations, err := handlers.Operations()
	k.must(err)
	for _, a := range o.answers {
		if a.RequestID == "" || a.Took <= 0 {
			t.Errorf("it was not told when and for whom: %+v", a)
		}
		if !strings.Contains(fmt.Sprint(operations), a.Operation) {
			t.Errorf("%s is not among %v", a.Operation, operations)
		}
	}
}

// Clients that go away in the middle of a load look like no outage.
func TestManyHangUps(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) {
		c.RefusalLines = 1
		c.Store = failing{storeOf(c), func() error { return context.Canceled }}
	})
	for range 50 {
		k.do(request{path: "/v1/summary", key: k.admin.Secret, failing: true}).refused(503, "UNAVAILABLE")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		log := k.log.String()
		if strings.Contains(log, "level=WARN") || strings.Contains(log, "code=UNAVAILABLE") {
			t.Fatalf("looks like an outage:\n%s", log)
		}
		if strings.Contains(log, "code=CLIENT_HUNG_UP count=") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not summed up")
		}
	}
}

var heldInLog = regexp.MustCompile(`code=CREDENTIAL_MISSING count=(\d+)`)

// A flood of refusals does not fill the disk, all are counted, and another kind still gets its lines.
func TestRefusalFlood(t *testing.T) {
	t.Parallel()
	const flood, most = 300, 3
	k := newKit(t, func(c *handlers.Config) { c.RefusalLines = most })
	began := time.Now()
	for range flood {
		k.get(key{}, keysPath).refused(401, "CREDENTIAL_MISSING")
	}
	seconds := int(time.Since(began)/time.Second) + 1
	k.do(request{path: "/no-such"})
	accounted := func() (lines, held int) {
		log := k.log.String()
		for _, found := range heldInLog.FindAllStringSubmatch(log, -1) {
			n, err := strconv.Atoi(found[1])
			k.must(err)
			held += n
		}
		return strings.Count(log, "msg=request") - 1, held
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		lines, held := accounted()
		if lines+held == flood {
			if lines > most*(seconds+1) {
				t.Errorf("%d lines in %d s", lines, seconds)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines and %d summed up, of %d", lines, held, flood)
		}
	}
	if !strings.Contains(k.log.String(), "code=PATH_NOT_FOUND") {
		t.Error("the flood drowned another refusal")
	}
}
