package console_test

import (
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/console"
)

// switched is an API that can be switched to another handler.
type switched struct {
	api     http.Handler
	instead atomic.Pointer[http.HandlerFunc]
}

func (s *switched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if instead := s.instead.Load(); instead != nil {
		(*instead)(w, r)
		return
	}
	s.api.ServeHTTP(w, r)
}

func (s *switched) to(h http.HandlerFunc) { s.instead.Store(&h) }
func (s *switched) back()                 { s.instead.Store(nil) }

func newSwitched(t *testing.T) (*kit, *switched) {
	t.Helper()
	s := &switched{}
	return newKit(t, options{console: func(c *console.Config) { s.api = c.API; c.API = s }}), s
}

// A page does not wait for an API that takes too long.
func TestSlowAPI(t *testing.T) {
	t.Parallel()
	k, api := newSwitched(t)
	v := k.visitor()
	v.signIn(k.owner)
	api.to(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	synctest.Test(t, func(*testing.T) { // so that no time passes
		v.get("/console/keys").want(http.StatusServiceUnavailable, "That took too long", "Try again")
	})
}

// The reader sees the service's message when it cannot read its database.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.owner)
	k.must(os.Rename(k.Path, k.Path+".away"))
	signIn := func() reply { return v.post("/console/sign-in", url.Values{"secret": {k.owner.Secret}}) }
	for deadline := time.Now().Add(20 * time.Second); signIn().status == http.StatusSeeOther; { // with the cached key
		if time.Now().After(deadline) {
			t.Fatal("a key works without a database")
		}
	}
	v.get("/console/keys").want(http.StatusServiceUnavailable, "The server cannot do this now", "Try again", "Request <code>")
	signIn().want(http.StatusServiceUnavailable, "<h1>Sign in</h1>", "The server cannot do this now")
	k.must(os.Rename(k.Path+".away", k.Path))
}
