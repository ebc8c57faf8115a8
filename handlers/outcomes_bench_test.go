package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/verify"
)

// BenchmarkVerifyOutcomes measures each outcome for a resource server and for a gateway. The time of a
// refusal must not reveal whether an id exists.
func BenchmarkVerifyOutcomes(b *testing.B) {
	// Many of each kind and a small cache, so that none is cached.
	const remembered, many = 1 << 8, 1 << 14
	var service http.Handler
	s := servertest.Start(b, servertest.Options{
		Configure: []func(*handlers.Config){func(c *handlers.Config) {
			c.Verifier = verify.New(keycache.New(storeOf(c), keycache.Options{Size: remembered}), c.Log, verify.Options{Pepper: []byte("pepper")})
		}},
		Handler: func(h http.Handler) http.Handler {
			service = h
			return h
		},
	})
	_, verifier := s.Add(b, "gateway", "verifier", apikey.ScopeVerify)
	key, secret := s.Add(b, "team", "ci")
	foreign := func(i int) string { return fmt.Sprintf("a-foreign-secret-%026d", i) }
	imported := 0
	for i := range 2 * remembered {
		scheme := apikey.Schemes[i%len(apikey.Schemes)] // all three, so that a look-up costs most
		one, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{Owner: "team", Name: fmt.Sprint(i), ExpiresAt: time.Now().Add(time.Hour)})
		if err == nil {
			one.SecretHash = apikey.ForeignSecrets(foreign(i), []apikey.Scheme{scheme}, []byte("pepper"))[0].Hash
			one.Foreign = apikey.ForeignCurrent
			err = s.DB.ImportKey(b.Context(), operator, one, scheme)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	kinds := []struct {
		name   string
		status int // of forward-auth
		secret func() string
	}{
		{"malformed", 401, func() string { return strings.Replace(secret.Reveal(), "_", "-", 1) }},
		{"unknown", 401, func() string { return apikey.NewSecret("ak", apikey.NewID()).Reveal() }},
		{"wrong-secret", 401, func() string { return key.NewSecret().Reveal() }},
		{"good", 200, secret.Reveal},
		{"foreign-unknown", 401, func() string { return apikey.NewSecret("ak", apikey.NewID()).Reveal()[:43] }},
		{"foreign", 200, func() string { imported++; return foreign(imported % (2 * remembered)) }},
	}
	for _, kind := range kinds {
		secrets := make([]string, many)
		for i := range secrets {
			secrets[i] = kind.secret()
		}
		run := func(name string, status int, ask func(secret string) *http.Request) {
			b.Run(name+"/"+kind.name, func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					answer := httptest.NewRecorder()
					service.ServeHTTP(answer, ask(secrets[i%many]))
					if answer.Code != status {
						b.Fatalf("status %d: %s", answer.Code, answer.Body)
					}
					i++
				}
			})
		}
		run("verify", 200, func(secret string) *http.Request {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, verifyPath, strings.NewReader(`{"key":"`+secret+`"}`))
			r.Header = http.Header{"X-Api-Key": {verifier.Reveal()}, "Content-Type": {"application/json"}}
			return r
		})
		run("forward-auth", kind.status, func(secret string) *http.Request {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, forwardPath, http.NoBody)
			r.Header = http.Header{"X-Api-Key": {secret}}
			return r
		})
	}
}
