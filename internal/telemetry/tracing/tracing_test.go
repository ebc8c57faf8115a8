package tracing_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/internal/telemetry/tracing"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store"
	"apikeyd/verify"
)

const create = `{"name":%q,"expires_at":"2099-01-01T00:00:00Z"}`

// receiver is a collector that speaks OTLP over HTTP.
type receiver struct {
	mu       sync.Mutex
	spans    []*otlp.Span
	resource map[string]string
	refuse   bool
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &request)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || r.URL.Path != "/v1/traces" || c.refuse {
		http.Error(w, "refused", http.StatusBadRequest) // which is not retried
		return
	}
	for _, rs := range request.ResourceSpans {
		c.resource = attributes(rs.Resource.Attributes)
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func attributes(all []*common.KeyValue) map[string]string {
	text := make(map[string]string)
	for _, a := range all {
		text[a.Key] = a.Value.GetStringValue()
		if n, ok := a.Value.Value.(*common.AnyValue_IntValue); ok {
			text[a.Key] = fmt.Sprint(n.IntValue)
		}
	}
	return text
}

// kit is a service that sends traces.
type kit struct {
	*servertest.Server
	t        *testing.T
	tracer   *tracing.Tracer
	receiver *receiver
	admin    apikey.Secret
}

// newKit starts a service and a collector. It sets environment variables, so its tests cannot be parallel.
func newKit(t *testing.T, env ...string) *kit {
	t.Helper()
	k := &kit{t: t, receiver: &receiver{}}
	server := httptest.NewServer(k.receiver)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	k.Server = servertest.Start(t, servertest.Options{Configure: []func(*handlers.Config){func(c *handlers.Config) {
		var err error
		if k.tracer, err = tracing.Start(context.Background(), os.LookupEnv, c.Log, "v1"); err != nil {
			t.Fatal(err)
		}
		traced := k.tracer.Store(c.Store.(tracing.Store), "sqlite")
		c.Store, c.Observers = traced, k.tracer.Observers()
		c.Log = slog.New(k.tracer.LogHandler(c.Log.Handler()))
		c.Verifier = verify.New(keycache.New(traced, keycache.Options{}), c.Log, verify.Options{})
	}}})
	_, k.admin = k.Add(t, "admin", "admin", apikey.ScopeAdmin)
	return k
}

func (k *kit) ask(method, path, body string, header ...string) int {
	k.t.Helper()
	r, err := http.NewRequest(method, k.URL+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", k.admin.Reveal())
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := k.Plain.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// sent closes the tracer, and returns the collector's spans by name.
func (k *kit) sent() map[string]*otlp.Span {
	k.t.Helper()
	if err := k.tracer.Close(context.Background()); err != nil {
		k.t.Fatal(err)
	}
	k.receiver.mu.Lock()
	defer k.receiver.mu.Unlock()
	spans := make(map[string]*otlp.Span)
	for _, s := range k.receiver.spans {
		spans[s.Name] = s
	}
	return spans
}

func TestSpansOfAChange(t *testing.T) {
	k := newKit(t, "OTEL_SERVICE_NAME=keys", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
	const traceID, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	status := k.ask("POST", "/v1/api-keys", fmt.Sprintf(create, "a name"),
		"Traceparent", "00-"+traceID+"-"+parent+"-01", "Tracestate", "vendor=of-the-callers-choosing", "Baggage", "a=of-the-callers-choosing")
	if status != http.StatusCreated {
		t.Fatal(status)
	}
	spans := k.sent()
	server, commit := spans["createApiKey"], spans["store.CreateKey"]
	if server == nil || commit == nil {
		t.Fatalf("the spans are %v", spans)
	}
	if got := fmt.Sprintf("%x %x", server.TraceId, server.ParentSpanId); got != traceID+" "+parent {
		t.Errorf("the caller's trace is %s %s, the span is in %s", traceID, parent, got)
	}
	if string(commit.ParentSpanId) != string(server.SpanId) || string(commit.TraceId) != string(server.TraceId) {
		t.Error("the span of the store is not within that of the request")
	}
	if server.Kind != otlp.Span_SPAN_KIND_SERVER || commit.Kind != otlp.Span_SPAN_KIND_CLIENT {
		t.Errorf("the kinds are %s and %s", server.Kind, commit.Kind)
	}
	got := attributes(server.Attributes)
	for name, want := range map[string]string{
		"http.request.method": "POST", "http.route": "/v1/api-keys", "http.response.status_code": "201",
		"url.scheme": "http", "apikeyd.operation": "createApiKey", "apikeyd.authentication": "VALID",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got := attributes(commit.Attributes); got["db.system.name"] != "sqlite" || got["db.operation.name"] != "CreateKey" {
		t.Errorf("the attributes of the store's span are %v", got)
	}
	if id := got["apikeyd.request_id"]; id == "" || !strings.Contains(k.Log.String(), "request_id="+id) {
		t.Errorf("the request id %q is not in the log", id)
	}
	if line := "trace_id=" + traceID + fmt.Sprintf(" span_id=%x", server.SpanId); !strings.Contains(k.Log.String(), line) {
		t.Errorf("no %s in the log:\n%s", line, k.Log)
	}
	for name, want := range map[string]string{
		"service.name": "keys", "service.version": "v1", "deployment.environment.name": "test",
	} {
		if k.receiver.resource[name] != want {
			t.Errorf("%s is %q, want %q", name, k.receiver.resource[name], want)
		}
	}
	for _, chosen := range []string{"a name", "of-the-callers-choosing", k.admin.Reveal()} {
		if strings.Contains(fmt.Sprint(k.receiver.spans), chosen) {
			t.Errorf("a span holds %q", chosen)
		}
	}
}

// Answers from the cache make no span of the store.
func TestSpansOfVerification(t *testing.T) {
	k := newKit(t)
	k.ask("GET", "/v1/forward-auth", "")
	k.ask("GET", "/v1/forward-auth", "")
	k.ask("GET", "/v1/audit-events", "")
	_ = k.sent()
	count := make(map[string]int)
	for _, s := range k.receiver.spans {
		count[s.Name]++
	}
	if count["store.AuditEvents"] != 1 {
		t.Errorf("the spans are %v, want 1 of store.AuditEvents", count)
	}
	if count["forwardAuth"] != 2 || count["store.Key"] != 1 {
		t.Errorf("the spans are %v, want 2 of forwardAuth and 1 of store.Key", count)
	}
}

func TestSpansOfTrouble(t *testing.T) {
	k := newKit(t)
	k.ask("GET", "/v1/api-keys/no-such", "")
	k.ask("GET", "/no-such", "")
	if err := os.Rename(k.Path, k.Path+".moved"); err != nil {
		t.Fatal(err)
	}
	if status := k.ask("POST", "/v1/api-keys", fmt.Sprintf(create, "x")); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	spans := k.sent()
	for name, want := range map[string]struct {
		failed bool
		code   string
	}{
		"getApiKey": {false, "KEY_NOT_FOUND"}, "other": {false, "PATH_NOT_FOUND"}, "createApiKey": {true, "UNAVAILABLE"},
	} {
		s := spans[name]
		if s == nil {
			t.Errorf("no span %s", name)
			continue
		}
		if failed := s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR; failed != want.failed {
			t.Errorf("%s: failed is %v, want %v", name, failed, want.failed)
		}
		if got := attributes(s.Attributes)["apikeyd.code"]; got != want.code {
			t.Errorf("%s: code %q, want %q", name, got, want.code)
		}
	}
}

// unsure is a store whose creations have an unknown outcome.
type unsure struct{ store.Store }

func (unsure) CreateKey(context.Context, store.Actor, apikey.Key) error {
	return fmt.Errorf("%w: the cause", store.ErrUncertain)
}

// A span of the store names the kind of database, and reports an unknown outcome.
func TestSpansOfTheStore(t *testing.T) {
	k := newKit(t)
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	if err := k.tracer.Store(unsure{k.DB}, "postgresql").CreateKey(ctx, store.Actor{}, apikey.Key{}); !errors.Is(err, store.ErrUncertain) {
		t.Error(err)
	}
	s := k.sent()["store.CreateKey"]
	if s == nil {
		t.Fatal("no span of the change")
	}
	got := attributes(s.Attributes)
	if got["db.system.name"] != "postgresql" || got["error.type"] != "outcome_unknown" || s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("the span says %v, %s", got, s.Status)
	}
}

func TestSampling(t *testing.T) {
	for name, tt := range map[string]struct {
		env, traceparent string
		want             int
	}{
		"all by default":             {"", "", 1},
		"none":                       {"OTEL_TRACES_SAMPLER=always_off", "", 0},
		"the caller does not":        {"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 0},
		"a traceparent that is none": {"", "00-nonsense", 1},
		"no ratio":                   {"OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, strings.Fields(tt.env)...)
			k.ask("GET", "/healthz", "", "Traceparent", tt.traceparent)
			if got := len(k.sent()); got != tt.want {
				t.Errorf("%d spans, want %d", got, tt.want)
			}
		})
	}
}

// An unreachable collector slows no request, and is logged once.
func TestCollectorAway(t *testing.T) {
	k := newKit(t, "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_BSP_MAX_QUEUE_SIZE=8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=4")
	k.receiver.mu.Lock()
	k.receiver.refuse = true
	k.receiver.mu.Unlock()
	for range 200 {
		if status := k.ask("GET", "/healthz", ""); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	wait(t, func() bool { return strings.Contains(k.Log.String(), "traces cannot be sent and are dropped") })
	k.receiver.mu.Lock()
	k.receiver.refuse = false
	k.receiver.mu.Unlock()
	wait(t, func() bool {
		k.ask("GET", "/healthz", "")
		return strings.Contains(k.Log.String(), "traces can be sent again")
	})
	_ = k.sent()
	if n := strings.Count(k.Log.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, k.Log)
	}
}

// With a collector that never answers, Close returns at its deadline.
func TestCollectorSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	k := newKit(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+listener.Addr().String())
	if status := k.ask("GET", "/healthz", ""); status != http.StatusOK {
		t.Fatal(status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := k.tracer.Close(ctx); err == nil {
		t.Error("it says that all was sent")
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it takes too long")
		}
	}
}

func TestEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		env     map[string]string
		on      bool
		refused string
	}{
		"nothing":             {},
		"empty":               {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": ""}},
		"only a name":         {env: map[string]string{"OTEL_SERVICE_NAME": "x"}},
		"an endpoint":         {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, on: true},
		"one for traces":      {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/x"}, on: true},
		"an exporter":         {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, on: true},
		"no exporter":         {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}},
		"disabled":            {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"}},
		"an unknown exporter": {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, refused: "OTEL_TRACES_EXPORTER must be otlp or none"},
		"over gRPC": {
			env:     map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			refused: "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json",
		},
	} {
		t.Run(name, func(t *testing.T) {
			lookup := func(name string) (string, bool) {
				value, ok := tt.env[name]
				return value, ok
			}
			tracer, err := tracing.Start(t.Context(), lookup, slog.New(slog.DiscardHandler), "v1")
			if got := fmt.Sprint(err); tt.refused != "" && got != tt.refused || tt.refused == "" && err != nil {
				t.Errorf("error %q, want %q", got, tt.refused)
			}
			if on := tracer != nil; on != tt.on {
				t.Errorf("it traces: %v, want %v", on, tt.on)
			}
			if err := tracer.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A nil Tracer wraps nothing.
func TestNoTracer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	log := slog.New(slog.DiscardHandler)
	var none *tracing.Tracer
	if none.Store(s.DB, "sqlite") != store.Store(s.DB) || none.LogHandler(log.Handler()) != log.Handler() || none.Observers() != nil {
		t.Error("something does")
	}
}
