package console_test

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/console"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store"
)

// go test ./console -run '^$' -bench List -benchtime 300x -args -keys 1000000
var many = flag.Int("keys", 20_000, "how many keys BenchmarkList stores at most")

// BenchmarkList opens the list of keys, of all owners and of one, with a thousand keys stored and
// with many. Both should take equally long.
func BenchmarkList(b *testing.B) {
	for _, keys := range []int{1000, *many} {
		var pages http.Handler
		s := servertest.Start(b, servertest.Options{Handler: func(api http.Handler) http.Handler {
			var err error
			pages, err = console.New(console.Config{API: api, Log: slog.New(slog.DiscardHandler), Now: time.Now})
			if err != nil {
				b.Fatal(err)
			}
			return pages
		}})
		storeKeys(b, s, keys)
		for _, as := range []struct{ owner, scope string }{{"admin", apikey.ScopeAdmin}, {"customer-1", apikey.ScopeRead}} {
			_, secret := s.Add(b, as.owner, "reader", as.scope)
			form := url.Values{"secret": {secret.Reveal()}}.Encode()
			signIn := httptest.NewRequest(http.MethodPost, "/console/sign-in", strings.NewReader(form))
			signIn.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			signedIn := httptest.NewRecorder()
			pages.ServeHTTP(signedIn, signIn)
			session := signedIn.Result().Cookies()[0]
			b.Run(fmt.Sprintf("%d/%s", keys, as.owner), func(b *testing.B) {
				for b.Loop() {
					r := httptest.NewRequest(http.MethodGet, "/console/keys", nil)
					r.AddCookie(session)
					w := httptest.NewRecorder()
					if pages.ServeHTTP(w, r); w.Code != http.StatusOK {
						b.Fatalf("status %d", w.Code)
					}
				}
			})
		}
	}
}

// storeKeys stores keys, a hundred of each owner.
func storeKeys(b *testing.B, s *servertest.Server, keys int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(keys) && !b.Failed(); i = next.Add(1) {
				made, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
					Owner: fmt.Sprintf("customer-%d", i/100), Name: fmt.Sprintf("key-%d", i),
					Scopes: []string{"datasets:read"}, ExpiresAt: time.Now().AddDate(10, 0, 0),
				})
				if err == nil {
					err = s.DB.CreateKey(b.Context(), store.Operator("bench"), made)
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
