package metrics_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"apikeyd/handlers"
	"apikeyd/internal/telemetry/metrics"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/sqlstore"
)

// kit is a service with metrics.
type kit struct {
	*servertest.Server
	t       testing.TB
	metrics *metrics.Metrics
}

// backedUp is when the last backup of its database was made.
var backedUp = time.Date(2030, 1, 31, 12, 0, 0, 500e6, time.UTC)

func newKit(t testing.TB) *kit {
	t.Helper()
	k := &kit{t: t}
	k.Server = servertest.Start(t, servertest.Options{Configure: []func(*handlers.Config){func(c *handlers.Config) {
		k.metrics = newMetrics(t, c)
	}}})
	if err := sqlstore.NoteBackup(t.Context(), k.Path, backedUp); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		k.metrics.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return k
}

// measured returns the configuration of a service with metrics that are never scraped.
func measured(t testing.TB) func(*handlers.Config) {
	return func(c *handlers.Config) { newMetrics(t, c) }
}

func newMetrics(t testing.TB, c *handlers.Config) *metrics.Metrics {
	t.Helper()
	operations, err := handlers.Operations()
	if err != nil {
		t.Fatal(err)
	}
	m, err := metrics.New(metrics.Sources{
		Database: c.Store.(*sqlstore.DB), Verifier: c.Verifier, Operations: operations, Log: c.Log,
		Build: metrics.Build{Version: "v1.2.3", Revision: "abc", GoVersion: "go1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Observers = append(c.Observers, m.Observers()...)
	return m
}

// ask makes a request and returns its status.
func (k *kit) ask(method, path, secret, body string) int {
	k.t.Helper()
	r, err := http.NewRequest(method, k.URL+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("X-Api-Key", secret)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := k.Plain.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		k.t.Fatal(err)
	}
	return answer.StatusCode
}

// scrape is a scrape: the text, and the value of each series.
func (k *kit) scrape() (text string, series map[string]string) {
	k.t.Helper()
	answer := httptest.NewRecorder()
	k.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		k.t.Fatal(answer.Code, answer.Body)
	}
	series = make(map[string]string)
	for line := range strings.Lines(answer.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			series[name] = value
		}
	}
	return answer.Body.String(), series
}

// wait scrapes until a series has a value.
func (k *kit) wait(series, want string) {
	k.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, all := k.scrape()
		if all[series] == want {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("%s is %q, want %q", series, all[series], want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
