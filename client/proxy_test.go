package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

// proxied starts a proxy in front of the real service. The proxy handles the first requests with do
// instead. The client does not wait between retries.
func proxied(t *testing.T, k *kit, trouble int64, do func(w http.ResponseWriter, pass func())) (*client.Client, *atomic.Int64) {
	t.Helper()
	target, err := url.Parse(k.URL)
	must(t, err)
	// Rewrite leaves escaped paths alone.
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var requests atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > trouble {
			proxy.ServeHTTP(w, r)
			return
		}
		do(w, func() { proxy.ServeHTTP(httptest.NewRecorder(), r) })
	}))
	t.Cleanup(front.Close)
	c := newClient(t, front.URL, k.secret, client.Options{HTTPClient: front.Client()})
	c.SetWait(func(ctx context.Context, _ time.Duration) error { return ctx.Err() })
	return c, &requests
}

func TestRecoveringProxy(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	for name, do := range map[string]func(http.ResponseWriter, func()){
		"answers 503": func(w http.ResponseWriter, _ func()) {
			http.Error(w, "<h1>no server</h1>", http.StatusServiceUnavailable)
		},
		"closes the connection": func(w http.ResponseWriter, _ func()) {
			hijack(w, func(net.Conn) {})
		},
		"breaks off in the answer": func(w http.ResponseWriter, _ func()) {
			hijack(w, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")) })
		},
		"loses the answer": func(w http.ResponseWriter, pass func()) {
			pass()
			hijack(w, func(net.Conn) {})
		},
	} {
		k.Add(t, "admin", name+"/b")
		c, requests := proxied(t, k, 3, do)
		key, err := c.Get(t.Context(), name+"/b")
		must(t, err)
		if n := requests.Swap(0); n != 4 {
			t.Errorf("%s: %d requests to get", name, n)
		}
		key, err = c.Update(t.Context(), key.ID, client.Change{Name: new(name + "/c")})
		if err != nil || key.Name != name+"/c" || requests.Swap(0) != 4 {
			t.Errorf("%s: %+v, %v", name, key, err)
		}
		key, err = c.Revoke(t.Context(), key.ID)
		if err != nil || key.Status != client.StatusRevoked || requests.Swap(0) != 4 {
			t.Errorf("%s: %+v, %v", name, key, err)
		}
		if _, err := names(t.Context(), c, client.ListOptions{}); err != nil || requests.Swap(0) != 4 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A create whose answer is lost is not retried: the caller gets an error and finds the name taken.
func TestLostCreate(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	c, requests := proxied(t, k, 1, func(w http.ResponseWriter, pass func()) {
		pass()
		hijack(w, func(net.Conn) {})
	})
	draft := client.NewKey{Name: "n", ExpiresAt: inAnHour()}
	_, err := c.Create(t.Context(), draft)
	wantPlain(t, err)
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	_, err = c.Create(t.Context(), draft)
	wantError(t, err, 409, client.CodeNameTaken)
	_, err = c.Revoke(t.Context(), "n")
	must(t, err)
	_, err = c.Create(t.Context(), draft)
	must(t, err)
}

// A rotation whose answer is lost is not retried: that would end the grace of the secret in use.
func TestLostRotation(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	_, inUse := k.Add(t, "admin", "n")
	c, requests := proxied(t, k, 1, func(w http.ResponseWriter, pass func()) {
		pass()
		hijack(w, func(net.Conn) {})
	})
	_, err := c.Rotate(t.Context(), "n", time.Hour)
	wantPlain(t, err)
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if v, err := k.admin.Verify(t.Context(), inUse.Reveal()); err != nil || !v.Valid() || v.Key.GraceEndsAt.IsZero() {
		t.Errorf("the secret in use is %s until %v, %v", v.Code, v.Key.GraceEndsAt, err)
	}
}

// A verification whose answer is lost is not retried: it was counted.
func TestLostVerification(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	limited, err := k.admin.Create(t.Context(), client.NewKey{
		Name: "n", ExpiresAt: inAnHour(), RateLimit: &client.RateLimit{Limit: 2, Window: 24 * time.Hour},
	})
	must(t, err)
	c, requests := proxied(t, k, 1, func(w http.ResponseWriter, pass func()) {
		pass()
		hijack(w, func(net.Conn) {})
	})
	_, err = c.Verify(t.Context(), limited.Secret.Reveal())
	wantPlain(t, err)
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	for _, want := range []client.VerifyCode{client.VerifyValid, client.VerifyRateLimited} {
		if v, err := c.Verify(t.Context(), limited.Secret.Reveal()); err != nil || v.Code != want {
			t.Errorf("%s, %v, want %s", v.Code, err, want)
		}
	}
}

// A revocation by name whose answer is lost is not retried: the name is free and may belong to a
// new key by then.
func TestLostRevocationByName(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	k.Add(t, "admin", "n")
	c, requests := proxied(t, k, 1, func(w http.ResponseWriter, pass func()) {
		pass()
		k.Add(t, "admin", "n") // somebody takes the name at once
		hijack(w, func(net.Conn) {})
	})
	_, err := c.Revoke(t.Context(), "n")
	wantPlain(t, err)
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if key, err := c.Get(t.Context(), "n"); err != nil || key.Status != client.StatusActive {
		t.Errorf("the new key is %s, %v", key.Status, err)
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	for name, call := range calls {
		c := newClient(t, "http://"+listener.Addr().String(), "secret", client.Options{})
		waits := 0
		c.SetWait(func(context.Context, time.Duration) error { waits++; return nil })
		err := call(t.Context(), c)
		wantPlain(t, err)
		if _, ok := errors.AsType[*net.OpError](err); !ok || waits != 3 {
			t.Errorf("%s: %v after %d waits", name, err, waits)
		}
	}
}

// A redirect would send the secret elsewhere and turn a POST into a GET.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := &atomic.Int64{}
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	follow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	for name, call := range calls {
		for _, o := range []client.Options{{}, {HTTPClient: follow}} {
			err := call(t.Context(), newClient(t, server.URL, "secret", o))
			if e := errorIn(t, err, 307, ""); elsewhere.Load() != 0 {
				t.Errorf("%s: %v, and the redirect was followed", name, e)
			}
		}
	}
	if follow.CheckRedirect(nil, nil) != nil {
		t.Error("the caller's http.Client was changed")
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	var got string
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r.UserAgent()
		return answer(200, nil, `{"id":"`+keyID+`"}`), nil
	})
	for agent, want := range map[string]string{"": "apikeyd-go-client", "my-program/1.2": "my-program/1.2"} {
		c := newClient(t, "http://keys.test", "secret", client.Options{
			UserAgent: agent, HTTPClient: &http.Client{Transport: transport},
		})
		_, err := c.Get(t.Context(), "n")
		must(t, err)
		if got != want {
			t.Errorf("user agent %q, want %q", got, want)
		}
	}
}
