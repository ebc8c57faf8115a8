package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

// failing is a store whose calls return fail's error without reaching the real store.
type failing struct {
	store.Store
	fail func() error
}

func (s failing) Key(context.Context, store.Ref) (apikey.Key, error) { return apikey.Key{}, s.fail() }

func (s failing) Keys(context.Context, store.Query) (store.Page, error) {
	return store.Page{}, s.fail()
}

func (s failing) Summary(context.Context, string, time.Time) (store.Summary, error) {
	return store.Summary{}, s.fail()
}

func (s failing) CreateKey(context.Context, store.Actor, apikey.Key) error { return s.fail() }

func (s failing) UpdateKey(context.Context, store.Actor, store.Ref, apikey.Change) (apikey.Key, error) {
	return apikey.Key{}, s.fail()
}

func (s failing) RevokeKey(context.Context, store.Actor, store.Ref, apikey.Reason) (apikey.Key, error) {
	return apikey.Key{}, s.fail()
}

func (s failing) Ping(context.Context) error { return s.fail() }

func (s failing) CreateLink(context.Context, store.Actor, apikey.Link) error { return s.fail() }

func (s failing) RotateKey(context.Context, store.Actor, store.Ref, apikey.Rotation) (apikey.Key, error) {
	return apikey.Key{}, s.fail()
}

// calls returns a valid request for each operation: all that verify their caller, or only those that call the
// store directly. Reads of keys go through the verifier's cache.
func (k *kit) calls(verifying bool) []request {
	k.Helper()
	bodies := map[string]string{
		"createApiKey": goodBody, "updateApiKey": goodBody, "rotateApiKey": "{}", "createOwnerLink": fields{"scopes": []string{"keys:read"}}.json(),
		"verifyApiKey": fields{"key": k.admin.Secret}.json(), "introspectToken": "token=" + k.admin.Secret,
	}
	var all []request
	for _, op := range k.operations("n") {
		r := request{method: op.method, path: op.path, key: k.admin.Secret, failing: true, body: bodies[op.id]}
		if op.id == "introspectToken" {
			r.header = formHeader
		}
		if verifying || op.scope == apikey.ScopeWrite || op.id == "getSummary" {
			all = append(all, r)
		}
	}
	// Two require no scope of apikeyd's: one only verifies, one never does.
	if verifying {
		return append(all, request{path: forwardPath, key: k.admin.Secret, failing: true},
			request{method: "BREW", path: forwardPath + "/x?scope=a", key: k.admin.Secret, failing: true, foreign: true})
	}
	return append(all, request{method: "POST", path: leaksPath, body: bodies["verifyApiKey"], failing: true})
}

var formHeader = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

func TestFailuresOfTheStore(t *testing.T) {
	t.Parallel()
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	cause := "the cause " + secret + " is not for callers"
	tests := []struct {
		name   string
		fail   func() error
		status int
		code   string
		logged []string
	}{
		{"an error that nobody expected", func() error { return errors.New(cause) },
			500, "INTERNAL", []string{"level=ERROR", "the cause [redacted] is not for callers"}},
		{"a panic", func() error { panic(cause) },
			500, "INTERNAL", []string{"level=ERROR", "panic: the cause [redacted] is not for callers", "stack=", "failures_test.go"}},
		{"a panic with an error", func() error { panic(errors.New(cause)) },
			500, "INTERNAL", []string{"level=ERROR", "panic: the cause [redacted]", "stack="}},
		{"a panic with an error of ours", func() error { panic(fmt.Errorf("%s: %w", cause, store.ErrNotFound)) },
			500, "INTERNAL", []string{"level=ERROR", "panic: the cause [redacted]", "stack="}},
		{"a panic of the runtime", func() error { return []error{}[len(cause)] },
			500, "INTERNAL", []string{"level=ERROR", "panic: runtime error: index out of range", "stack="}},
		{"unavailable", func() error { return fmt.Errorf("%w: %s", store.ErrUnavailable, cause) },
			503, "UNAVAILABLE", []string{"level=ERROR", "the cause [redacted]"}},
		{"an unknown outcome", func() error { return fmt.Errorf("%w: %s", store.ErrUncertain, cause) },
			503, "OUTCOME_UNKNOWN", []string{"level=ERROR", "the cause [redacted]"}},
		{"too many scans", func() error { return fmt.Errorf("%w: %s", store.ErrTooManyScans, cause) },
			429, "TOO_MANY_REQUESTS", nil},
		{"out of time", func() error { return context.DeadlineExceeded },
			503, "UNAVAILABLE", []string{"level=ERROR"}},
		{"a client that hung up", func() error { return context.Canceled },
			503, "UNAVAILABLE", []string{"level=INFO", "code=CLIENT_HUNG_UP", `message="the client hung up"`}},
	}
	where := map[string]func(c *handlers.Config, s failing){
		"serving": func(c *handlers.Config, s failing) { c.Store = s },
		"authenticating": func(c *handlers.Config, s failing) {
			c.Verifier = verify.New(keycache.New(s, keycache.Options{Now: c.Now}), c.Log, verify.Options{})
		},
	}
	for _, tt := range tests {
		for place, put := range where {
			t.Run(place+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				k := newKit(t, func(c *handlers.Config) { put(c, failing{storeOf(c), tt.fail}) })
				k.secrets.add(secret)
				for _, call := range k.calls(place == "authenticating") {
					answer := k.do(call)
					answer.refused(tt.status, tt.code)
					if strings.Contains(string(answer.raw), "cause") {
						k.Errorf("the answer tells the cause: %s", answer.raw)
					}
					if tt.status == 503 && tt.code != "OUTCOME_UNKNOWN" || tt.status == 429 {
						answer.wantHeader("Retry-After", "1")
					}
					lines := k.logged(answer.header.Get("X-Request-Id"))
					if len(lines) != 1 {
						k.Fatalf("logged %d lines: %q", len(lines), lines)
					}
					for _, want := range tt.logged {
						if !strings.Contains(lines[0], want) {
							k.Errorf("no %q in %s", want, lines[0])
						}
					}
				}
			})
		}
	}
}

// hidden is a store that cannot read one key now.
type hidden struct {
	store.Store
	id apikey.ID
}

func (s hidden) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	if ref.ID == s.id {
		return apikey.Key{}, store.ErrUnavailable
	}
	return s.Store.Key(ctx, ref)
}

// If a key cannot be read, the answer is an error, not a refusal of the key.
func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	id := apikey.NewID()
	k := newKit(t, func(c *handlers.Config) {
		c.Verifier = verify.New(keycache.New(hidden{storeOf(c), id}, keycache.Options{Now: c.Now}), c.Log, verify.Options{})
	})
	secret := apikey.NewSecret("ak", id).Reveal()
	k.secrets.add(secret)
	for _, r := range []request{
		{method: "POST", path: verifyPath, key: k.admin.Secret, body: fields{"key": secret}.json()},
		{method: "POST", path: introspectPath, key: k.admin.Secret, body: "token=" + secret, header: formHeader},
		{path: forwardPath, key: secret},
		{path: keysPath, key: secret},
	} {
		r.failing = true
		answer := k.do(r)
		answer.refused(503, "UNAVAILABLE")
		answer.wantNoIdentity()
	}
}

// nameless is a store that must not be asked for keys by name.
type nameless struct{ store.Store }

func (s nameless) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	if ref.ID.IsZero() {
		panic("asked")
	}
	return s.Store.Key(ctx, ref)
}

// Impossible names are not found, without asking the store.
func TestImpossibleNamesAreNotLookedUp(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) {
		c.Verifier = verify.New(keycache.New(nameless{storeOf(c)}, keycache.Options{Now: c.Now}), c.Log, verify.Options{})
		c.Store = failing{storeOf(c), func() error { panic("asked") }}
	})
	for _, name := range []string{"%00", "%ff", "%2e%2e", "%20a", "a%0a", strings.Repeat("n", 256), k.admin.Secret} {
		for _, method := range []string{"GET", "DELETE"} {
			k.do(request{method: method, path: keysPath + "/" + name, key: k.admin.Secret}).refused(404, "KEY_NOT_FOUND")
		}
	}
}

func TestPanicLeavesTheServerUp(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) {
		c.Store = failing{storeOf(c), func() error { panic("once") }}
	})
	k.do(request{method: "DELETE", path: keyPath("n"), key: k.admin.Secret, failing: true}).want(500)
	k.do(request{path: "/healthz"}).want(200)
	k.do(request{path: "/readyz", failing: true}).refused(500, "INTERNAL")
}

func TestDatabaseFileIsGone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n"})
	k.must(os.Remove(k.path))
	failing := func(r request) {
		k.Helper()
		r.key, r.failing = k.admin.Secret, true
		answer := k.do(r)
		answer.refused(503, "UNAVAILABLE")
		answer.wantHeader("Retry-After", "1")
	}
	// An answer would promise a change that the next start does not find.
	failing(request{method: "POST", path: keysPath, body: goodBody})
	failing(request{method: "PATCH", path: keyPath("n"), body: `{"name":"m"}`})
	failing(request{method: "DELETE", path: keyPath(made.ID)})
	failing(request{path: "/readyz"})
	k.do(request{path: "/healthz"}).want(200)
}

// overtaken is a store that revokes the acting key between authentication and change.
type overtaken struct{ store.Store }

func (s overtaken) revoke(ctx context.Context, actor store.Actor) {
	if _, err := s.Store.RevokeKey(ctx, operator, store.ByID(actor.Key), apikey.ReasonUnspecified); err != nil {
		panic(err)
	}
}

func (s overtaken) CreateKey(ctx context.Context, actor store.Actor, key apikey.Key) error {
	s.revoke(ctx, actor)
	return s.Store.CreateKey(ctx, actor, key)
}

func (s overtaken) UpdateKey(ctx context.Context, actor store.Actor, ref store.Ref, change apikey.Change) (apikey.Key, error) {
	s.revoke(ctx, actor)
	return s.Store.UpdateKey(ctx, actor, ref, change)
}

func (s overtaken) RevokeKey(
	ctx context.Context, actor store.Actor, ref store.Ref, reason apikey.Reason,
) (apikey.Key, error) {
	s.revoke(ctx, actor)
	return s.Store.RevokeKey(ctx, actor, ref, reason)
}

func (s overtaken) CreateLink(ctx context.Context, actor store.Actor, link apikey.Link) error {
	s.revoke(ctx, actor)
	return s.Store.CreateLink(ctx, actor, link)
}

func (s overtaken) RotateKey(ctx context.Context, actor store.Actor, ref store.Ref, r apikey.Rotation) (apikey.Key, error) {
	s.revoke(ctx, actor)
	return s.Store.RotateKey(ctx, actor, ref, r)
}

func TestRequestInFlightIsOvertaken(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) { c.Store = overtaken{storeOf(c)} })
	target := k.add("team", "target")
	first := k.add("team", "first", "keys:read", "keys:write")
	second := k.add("team", "second", "keys:read", "keys:write")
	third := k.add("team", "third", "keys:read", "keys:write")
	fourth := k.add("team", "fourth", "keys:read", "keys:write")
	k.create(first, fields{"name": "late"}).refused(401, "CREDENTIAL_INVALID")
	k.patch(second, keyPath(target.ID), fields{"name": "late"}).refused(401, "CREDENTIAL_INVALID")
	k.revoke(third, keyPath(target.ID)).refused(401, "CREDENTIAL_INVALID")
	k.rotate(fourth, keyPath(target.ID), fields{"grace_seconds": 60}).refused(401, "CREDENTIAL_INVALID")
	k.link(k.add("team", "fifth", "keys:read", "keys:write"), "team", nil).refused(401, "CREDENTIAL_INVALID")
	k.do(request{path: forwardPath, key: target.Secret}).want(200) // its secret still works
	got := k.get(k.admin, keyPath(target.ID)).want(200).key()
	if got.Name != "target" || got.Status != "ACTIVE" {
		k.Errorf("the key is %q, %s", got.Name, got.Status)
	}
	k.get(k.admin, keyPath("late")+"?owner=team").refused(404, "KEY_NOT_FOUND")
}

// outpaced is a store that rotates the key between the read and the rotation.
type outpaced struct{ store.Store }

func (s outpaced) RotateKey(ctx context.Context, actor store.Actor, ref store.Ref, r apikey.Rotation) (apikey.Key, error) {
	first := apikey.Rotation{From: r.From, To: apikey.NewSecret("ak", ref.ID).Hash(), Grace: apikey.MaxGrace}
	if _, err := s.Store.RotateKey(ctx, operator, ref, first); err != nil {
		panic(err)
	}
	return s.Store.RotateKey(ctx, actor, ref, r)
}

// An answer must not show a secret that does not work.
func TestRotationIsOvertaken(t *testing.T) {
	t.Parallel()
	k := newKit(t, func(c *handlers.Config) { c.Store = outpaced{storeOf(c)} })
	target := k.add("team", "target")
	k.rotate(k.admin, keyPath(target.ID), nil).refused(409, "KEY_ROTATED")
	k.do(request{path: forwardPath, key: target.Secret}).want(200) // in the grace of the other rotation
	// The key itself: its secret is still valid, but no longer the current one.
	self := k.add("team", "self", "keys:write")
	k.rotate(self, keyPath(self.ID), nil).refused(409, "KEY_ROTATED")
}

// punctual is a store that reports whether calls have a deadline.
type punctual struct {
	store.Store
	deadlines chan<- bool
}

func (s punctual) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	_, ok := ctx.Deadline()
	s.deadlines <- ok
	return s.Store.Keys(ctx, q)
}

// Requests must not wait for the database without a deadline.
func TestRequestsEndInTime(t *testing.T) {
	t.Parallel()
	deadlines := make(chan bool, 1)
	k := newKit(t, func(c *handlers.Config) {
		c.Verifier = verify.New(keycache.New(punctual{storeOf(c), deadlines}, keycache.Options{Now: c.Now}), c.Log, verify.Options{})
	})
	k.get(k.admin, keysPath+"?status=ACTIVE").want(200)
	if !<-deadlines {
		k.Error("a request has no deadline")
	}
}
