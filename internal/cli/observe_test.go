package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var metricsInLog = regexp.MustCompile(`msg="serving metrics" url=(http://\S+)`)

// metricsURL returns the metrics' URL from the log.
func (s *server) metricsURL() string {
	s.t.Helper()
	groups := metricsInLog.FindStringSubmatch(s.output.String())
	if groups == nil {
		s.t.Fatalf("no metrics are served:\n%s", s.output.String())
	}
	return groups[1]
}

// fetch returns the status and the body of a URL.
func (s *server) fetch(url string) (int, string) {
	s.t.Helper()
	response, err := httpClient.Get(url)
	must(s.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(s.t, err)
	return response.StatusCode, string(text)
}

// scrape returns the metrics of a server.
func (s *server) scrape() string {
	s.t.Helper()
	_, text := s.fetch(s.metricsURL())
	return text
}

// The metrics have their own address, which serves nothing else.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--metrics", "127.0.0.1:0")
	url := s.metricsURL()
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
	status, text := s.fetch(url)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	for _, want := range []string{
		`apikeyd_http_requests_total{operation="listApiKeys",status="200"} 1`,
		`apikeyd_changes_total{action="create"} 1`, // the first key
		`apikeyd_http_connections_total 1`,
		"apikeyd_build_info{", "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s in the scrape", want)
		}
	}
	base := strings.TrimSuffix(url, "/metrics")
	for _, path := range []string{"/", "/v1/api-keys", "/healthz", "/debug/pprof/"} {
		if status, _ := s.fetch(base + path); status != http.StatusNotFound {
			t.Errorf("%s is among the metrics: status %d", path, status)
		}
	}
	s.want(http.StatusNotFound, "GET", "/metrics", "", "")
	must(t, s.terminate())
}

func TestMetricsAddressTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	dir := t.TempDir()
	cmd, err := apikeyd(dir, nil, "serve", "--listen", "127.0.0.1:0", "--metrics", taken.Addr().String())
	must(t, err)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--metrics "+taken.Addr().String()+" is in use by another program; try --metrics 127.0.0.1:") {
		t.Errorf("it says %s", out)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || left != nil {
		t.Errorf("it leaves %v behind, error %v", left, err)
	}
}

// A log in JSON has one object per line.
func TestLogInJSON(t *testing.T) {
	t.Parallel()
	p, err := launch(t.TempDir(), []string{"APIKEYD_LOG_FORMAT=json"}, "serve", "--listen", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(p.kill)
	must(t, p.wait(func() bool { return strings.Contains(p.output.String(), `"msg":"serving"`) }))
	must(t, p.terminate())
	for line := range strings.Lines(p.output.String()) {
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			t.Errorf("error %v: %s", err, line)
		}
	}
}

// docs/observability.md has a row for each attribute of a request's line.
func TestLogIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/observability.md")
	must(t, err)
	_, table, _ := strings.Cut(string(page), "The attributes, the same in every line")
	table, _, _ = strings.Cut(table, "What a caller chose")
	s := serve(t, t.TempDir())
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
	s.want(http.StatusConflict, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
	must(t, s.terminate())
	requests, quoted, attribute := 0, regexp.MustCompile(`"[^"]*"`), regexp.MustCompile(`(\w+)=`)
	for line := range strings.Lines(s.output.String()) {
		_, line, is := strings.Cut(line, "msg=request ")
		if !is {
			continue
		}
		requests++
		for _, found := range attribute.FindAllStringSubmatch(quoted.ReplaceAllString(line, ""), -1) {
			if !strings.Contains(table, "`"+found[1]+"`") {
				t.Errorf("%s is not documented: %s", found[1], line)
			}
		}
	}
	if requests != 2 {
		t.Errorf("the log has %d lines about requests, want 2\n%s", requests, s.output.String())
	}
}

// collector receives traces in their wire format.
type collector struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.Copy(&c.text, r.Body) // its content is checked
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// With everything observed, no secret is revealed, and the log and the spans have the same trace id.
func TestObservedSecrets(t *testing.T) {
	t.Parallel()
	traces := &collector{}
	receiver := httptest.NewServer(traces)
	t.Cleanup(receiver.Close)
	s := serveWith(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL},
		"--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	admin := s.adminKey()
	secret := s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("of-some-name")).Secret
	s.want(http.StatusOK, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, secret))
	s.want(http.StatusOK, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, secret[1:]))
	s.want(http.StatusNotFound, "GET", "/v1/api-keys/"+secret, admin, "")
	s.want(http.StatusNotFound, "GET", "/"+secret+"?"+secret, admin, "")
	s.want(http.StatusBadRequest, "GET", "/v1/api-keys?owner="+secret, admin, "")
	s.want(http.StatusOK, "POST", "/v1/api-keys/of-some-name/rotate", admin, "")
	s.want(http.StatusAccepted, "POST", "/v1/leaked-keys", "", fmt.Sprintf(`{"key":%q}`, secret))
	_, scrape := s.fetch(s.metricsURL())
	must(t, s.terminate()) // which sends what is left
	traces.mu.Lock()
	defer traces.mu.Unlock()
	for name, text := range map[string]string{"metrics": scrape, "traces": traces.text.String(), "log": s.output.String()} {
		for _, hidden := range []string{secret, admin} {
			if strings.Contains(text, hidden[len(hidden)-38:len(hidden)-6]) {
				t.Errorf("the %s hold a secret", name)
			}
		}
		if !strings.Contains(text, "rotateApiKey") {
			t.Errorf("the %s do not tell what happened: what were they searched for?", name)
		}
	}
	if strings.Contains(scrape+traces.text.String(), "of-some-name") {
		t.Error("a name is in the metrics or traces")
	}
	if !regexp.MustCompile(`operation=rotateApiKey .* trace_id=[0-9a-f]{32} span_id=[0-9a-f]{16}`).MatchString(s.output.String()) {
		t.Errorf("the log does not name the trace:\n%s", s.output.String())
	}
}

// Errors in OpenTelemetry's variables are logged without the variables' values.
func TestMistypedTraceSettings(t *testing.T) {
	t.Parallel()
	s := serveWith(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9",
		"OTEL_EXPORTER_OTLP_HEADERS=authorization Bearer hunter2"}, "--listen", "127.0.0.1:0")
	if out := s.output.String(); strings.Contains(out, "hunter2") ||
		!strings.Contains(out, `level=WARN msg="trouble with traces" error="parse headers"`) {
		t.Errorf("it says\n%s", out)
	}
}

// An unreachable collector affects neither the service nor its shutdown.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, nobody.Close())
	s := serveWith(t, t.TempDir(), []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + nobody.Addr().String()},
		"--listen", "127.0.0.1:0")
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
	must(t, s.terminate())
}

// During a flood, the log has a few lines and the number of the rest.
func TestFloodInLog(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--log-refusals", "2")
	for range 50 {
		s.want(http.StatusUnauthorized, "GET", "/v1/api-keys", "", "")
	}
	must(t, s.wait(func() bool { return strings.Contains(s.output.String(), "code=CREDENTIAL_MISSING count=") }))
}
