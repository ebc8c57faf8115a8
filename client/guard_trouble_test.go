package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

// The service is actually stopped.
func TestGuardOfAStoppedService(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    client.GuardOptions
		pass bool // a key that nobody can verify
	}{
		"closed":               {client.GuardOptions{}, false},
		"open":                 {client.GuardOptions{FailOpen: true}, true},
		"closed, with a cache": {client.GuardOptions{CacheFor: time.Minute}, false},
		"open, with a cache":   {client.GuardOptions{CacheFor: time.Minute, FailOpen: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startService()
			c := newClient(t, s.URL, s.Secret, client.Options{MaxRetries: -1})
			create := func(name string) client.CreatedKey {
				t.Helper()
				created, err := c.ForOwner("customer-42").Create(t.Context(), client.NewKey{
					Name: name, ExpiresAt: inAnHour(), Scopes: &[]string{"datasets:read"},
				})
				must(t, err)
				return created
			}
			known, unknown, revoked := create("known"), create("unknown"), create("revoked")
			_, err := c.Revoke(t.Context(), revoked.ID)
			must(t, err)
			log := &servertest.Log{}
			tt.o.Log = slog.New(slog.NewTextHandler(log, nil))
			guard := client.NewGuard(c, tt.o).Require("datasets:read")
			if a := direct(t, guard, known.Secret.Reveal()); a.Code != 200 {
				t.Errorf("%d before the service stops", a.Code)
			}
			if a := direct(t, guard, revoked.Secret.Reveal()); a.Code != 401 || log.String() != "" {
				t.Errorf("%d before the service stops, %s", a.Code, log)
			}
			s.Stop()

			want := func(secret string, status int, body string) {
				t.Helper()
				a := direct(t, guard, secret)
				if a.Code != status || !strings.Contains(a.Body.String(), body) {
					t.Errorf("%d %s, want %d %s", a.Code, a.Body, status, body)
				}
				if retry := a.Header().Get("Retry-After"); (retry == "1") != (status == 503) {
					t.Errorf("%d: retry after %q", a.Code, retry)
				}
			}
			if tt.pass {
				want(unknown.Secret.Reveal(), 200, "id: ") // of nobody
				if strings.Contains(direct(t, guard, unknown.Secret.Reveal()).Body.String(), unknown.ID) {
					t.Error("a key that was not verified is there for the handler")
				}
			} else {
				want(unknown.Secret.Reveal(), 503, `"code":"UNAVAILABLE"`)
			}
			logged := log.String()
			if !strings.Contains(logged, "cannot be asked") || strings.Contains(logged, "passed") != tt.pass {
				t.Errorf("the log says %s", logged)
			}
			if tt.o.CacheFor > 0 {
				want(known.Secret.Reveal(), 200, known.ID)
			}
			// These are refused without asking.
			want("", 401, client.CodeCredentialMissing)
			want("two words", 401, client.CodeCredentialInvalid)
			want(strings.Repeat("A", 1025), 401, client.CodeCredentialInvalid)
			for _, secret := range []client.Secret{known.Secret, unknown.Secret, revoked.Secret} {
				wantNoSecret(t, log.String(), secret.Reveal())
			}
		})
	}
}

// The guard fails open only if the service is away, not on other errors.
func TestGuardFailsOpenOnlyWithoutTheService(t *testing.T) {
	t.Parallel()
	decision := func(text string) reply { return says(200, nil, text) }
	key := `"key":{"id":"` + keyID + `"}`
	for _, tt := range []struct {
		name   string
		reply  reply
		status int
		retry  string
	}{
		{"no connection", refused, 200, ""},
		{"a broken connection", reset, 200, ""},
		{"half an answer", cutShort, 200, ""},
		{"unavailable", unavailable, 200, ""},
		{"a proxy's 502", proxy502, 200, ""},
		{"a proxy's 503", proxy503, 200, ""},
		{"a proxy's 504", proxy504, 200, ""},
		{"a defect", internal, 503, "1"},
		{"its own key is bad", says(401, nil, `{"status":401,"code":"CREDENTIAL_REVOKED","message":"m"}`), 503, "1"},
		{"its own key lacks the scope", says(403, nil, `{"status":403,"code":"INSUFFICIENT_SCOPE","message":"m"}`), 503, "1"},
		{"the question is refused", says(400, nil, `{"status":400,"code":"INVALID_REQUEST","message":"m"}`), 503, "1"},
		{"the question is too large", says(413, nil, `{"status":413,"code":"BODY_TOO_LARGE","message":"m"}`), 503, "1"},
		{"too many questions", says(429, http.Header{"Retry-After": {"7"}}, `{"status":429,"code":"TOO_MANY_REQUESTS","message":"m"}`), 503, "7"},
		{"a wrong address", says(404, nil, "<h1>Not found</h1>"), 503, "1"},
		{"a redirect", says(302, http.Header{"Location": {"http://elsewhere.test/"}}, ""), 503, "1"},
		{"a log-in page", decision("<h1>Log in</h1>"), 503, "1"},
		{"valid, and whose is not said", decision(`{"valid":true,"code":"VALID"}`), 503, "1"},
		{"a contradiction", decision(`{"valid":true,"code":"REVOKED",` + key + `}`), 503, "1"},
		{"refused", decision(`{"valid":false,"code":"REVOKED",` + key + `}`), 401, ""},
		{"refused as nobody knows yet", decision(`{"valid":false,"code":"SUSPENDED",` + key + `}`), 401, ""},
	} {
		for _, caching := range []time.Duration{0, time.Minute} {
			s := &script{replies: []reply{tt.reply}}
			o := client.GuardOptions{FailOpen: true, CacheFor: caching}
			require := client.NewGuard(s.client(t, client.Options{MaxRetries: -1}), o).Require()
			a := direct(t, require, "key")
			if a.Code != tt.status || a.Header().Get("Retry-After") != tt.retry || strings.Contains(a.Body.String(), keyID) {
				t.Errorf("%s: %d %q, want %d %q", tt.name, a.Code, a.Header().Get("Retry-After"), tt.status, tt.retry)
			}
		}
	}
}

// A guard that fails open hides the key that an outer guard found, because it was not verified for
// the inner one.
func TestGuardInAGuard(t *testing.T) {
	t.Parallel()
	good := client.NewGuard((&script{}).client(t, client.Options{}), client.GuardOptions{}).Require()
	gone := client.NewGuard((&script{replies: []reply{refused}}).client(t, client.Options{MaxRetries: -1}),
		client.GuardOptions{FailOpen: true}).Require("more")
	if body := direct(t, good, "key").Body.String(); body != "id: "+keyID {
		t.Errorf("%q", body)
	}
	both := func(h http.Handler) http.Handler { return good(gone(h)) }
	if body := direct(t, both, "key").Body.String(); body != "id: " {
		t.Errorf("%q behind both", body)
	}
}

// silent returns a client of a service that does not answer until speak is called.
func silent(t *testing.T) (c *client.Client, requests *atomic.Int64, speak func()) {
	t.Helper()
	said := make(chan struct{})
	requests = &atomic.Int64{}
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		requests.Add(1)
		select {
		case <-said:
			return answer(200, nil, `{"valid":true,"code":"VALID","key":{"id":"`+keyID+`"}}`), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})
	c = newClient(t, "http://keys.test", "secret", client.Options{HTTPClient: &http.Client{Transport: transport}})
	return c, requests, func() { close(said) }
}

// The tests below use synctest's clock.

func TestGuardWaitsOnlySoLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o      client.GuardOptions
		want   time.Duration
		status int
	}{
		{client.GuardOptions{}, 5 * time.Second, 503},
		{client.GuardOptions{FailOpen: true}, 5 * time.Second, 200},
		{client.GuardOptions{Timeout: time.Second}, time.Second, 503},
		{client.GuardOptions{Timeout: time.Second, CacheFor: time.Minute}, time.Second, 503},
		{client.GuardOptions{Timeout: time.Second, CacheFor: time.Minute, FailOpen: true}, time.Second, 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := silent(t)
			start := time.Now()
			a := direct(t, client.NewGuard(c, tt.o).Require(), "key")
			if took := time.Since(start); took != tt.want || a.Code != tt.status {
				t.Errorf("%+v: %d after %v", tt.o, a.Code, took)
			}
			synctest.Wait()
		})
	}
}

// A caller that hangs up gets no answer and does not affect others with the same question.
func TestGuardWhenACallerHangsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, requests, speak := silent(t)
		require := client.NewGuard(c, client.GuardOptions{CacheFor: time.Minute, FailOpen: true}).Require()
		ctx, hangUp := context.WithCancel(t.Context())
		results := make(chan int, 10)
		go func() { results <- directly(ctx, require, "key").Code }()
		synctest.Wait() // the first asks
		for range 4 {
			go func() { results <- directly(t.Context(), require, "key").Code }()
		}
		synctest.Wait() // the others wait with it
		hangUp()
		synctest.Wait()
		if len(results) != 1 || <-results != 503 {
			t.Error("the caller that hung up has no 503")
		}
		speak()
		for range 4 {
			if status := <-results; status != 200 {
				t.Errorf("%d for one that waited", status)
			}
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

// By hanging up, a caller could otherwise have its request carried out unverified.
func TestGuardDoesNotFailOpenForWhoHangsUp(t *testing.T) {
	t.Parallel()
	for _, caching := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := silent(t)
			require := client.NewGuard(c, client.GuardOptions{FailOpen: true, CacheFor: caching}).Require()
			ctx, hangUp := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, hangUp)
			if a := directly(ctx, require, "key"); a.Code != 503 {
				t.Errorf("%d %s", a.Code, a.Body)
			}
			late, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if a := directly(late, require, "key"); a.Code != 503 {
				t.Errorf("%d %s after the end of the request's own time", a.Code, a.Body)
			}
			time.Sleep(10 * time.Second) // until no question is in flight
		})
	}
}

// A caller that joined an old question does not reuse its answer.
func TestGuardDoesNotShareOldAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, requests, speak := silent(t)
		guard := client.NewGuard(c, client.GuardOptions{CacheFor: time.Second})
		results := make(chan int, 2)
		for range 2 {
			go func() { results <- direct(t, guard.Require(), "key").Code }()
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		speak()
		if first, second := <-results, <-results; first != 200 || second != 200 || requests.Load() != 2 {
			t.Errorf("%d and %d after %d questions", first, second, requests.Load())
		}
	})
}

// A guard asks with every request, so it keeps connections open.
func TestGuardKeepsConnections(t *testing.T) {
	t.Parallel()
	const callers = 16
	var opened atomic.Int64
	var together sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		together.Done()
		together.Wait() // so that each needs its own connection
		_, _ = w.Write([]byte(`{"valid":true,"code":"VALID","key":{"id":"` + keyID + `"}}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	require := client.NewGuard(newClient(t, server.URL, "secret", client.Options{}), client.GuardOptions{}).Require()
	for range 3 {
		together.Add(callers)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if a := direct(t, require, "key"); a.Code != 200 {
					t.Errorf("%d %s", a.Code, a.Body)
				}
			})
		}
		all.Wait()
	}
	if n := opened.Load(); n != callers {
		t.Errorf("%d connections for %d callers", n, callers)
	}
}

// The error that a guard logs does not contain the caller's secret.
func TestGuardLogsNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "ak_2222222222222222222222222222222222222222222222222222222222222"
	for _, status := range []int{302, 400, 500, 503} {
		for _, failure := range []error{nil, errors.New("it broke at " + secret)} {
			log := &servertest.Log{}
			c := newClient(t, "http://keys.test", "secret-of-the-guard", client.Options{MaxRetries: -1, HTTPClient: &http.Client{
				Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					if failure != nil {
						return nil, failure
					}
					return answer(status, http.Header{"X-Request-Id": {secret}, "Location": {"http://" + secret}, "Content-Type": {secret}},
						`{"status":400,"message":"`+secret+`","code":"`+secret+`"}`), nil
				}),
			}})
			require := client.NewGuard(c, client.GuardOptions{Log: slog.New(slog.NewJSONHandler(log, nil))}).Require()
			a := direct(t, require, secret)
			if a.Code != 503 || log.String() == "" {
				t.Errorf("%d, and the log is %q", a.Code, log)
			}
			wantNoSecret(t, log.String()+a.Body.String(), secret)
		}
	}
}
