package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/store"
)

const leaksPath = "/v1/leaked-keys"

// thanks is the answer to every report.
const thanks = `{"message":"Thank you. If this was the secret of a key, it no longer works."}`

func (k *kit) report(secret string) response {
	k.Helper()
	return k.do(request{method: "POST", path: leaksPath, body: fields{"key": secret}.json()})
}

// thanked expects the answer that every report gets, with nothing that distinguishes reports.
func (r response) thanked() response {
	r.k.Helper()
	if text := strings.TrimSpace(string(r.want(202).raw)); text != thanks {
		r.k.Errorf("%s: the answer is %s", r.request, text)
	}
	for name := range r.header {
		switch name {
		case "Cache-Control", "Content-Length", "Content-Type", "Date", "X-Request-Id":
		default:
			r.k.Errorf("%s: the answer tells %s", r.request, name)
		}
	}
	return r
}

func TestReportedKeyIsRevoked(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for name, scopes := range map[string][]string{"none": {}, "admin": {"keys:admin"}, "reader": {"keys:read"}} {
		k.Run(name, func(k *kit) {
			made := k.mustCreate(k.admin, fields{"name": name, "owner": "team", "scopes": scopes})
			answer := k.report(made.Secret).thanked()
			want := made
			want.Secret, want.Status, want.RevokedAt, want.Reason = "", "REVOKED", "2026-11-23T12:00:00.000Z", "key_compromise"
			if diff := cmp.Diff(want, k.get(k.admin, keyPath(made.ID)).want(200).key()); diff != "" {
				k.Errorf("the key differs (-want +got):\n%s", diff)
			}
			k.get(made, keysPath).refused(401, "CREDENTIAL_REVOKED")
			k.wantLeak(answer, made, "revoked_at", "revoked=true")
			k.mustCreate(k.admin, fields{"name": name, "owner": "team"}) // the name is free again
		})
	}
	expired := k.mustCreate(k.admin, fields{"name": "expired", "expires_at": k.in(time.Second)})
	k.clock.Advance(time.Second)
	k.wantLeak(k.report(expired.Secret).thanked(), expired, "revoked_at", "revoked=true")
	k.get(expired, keysPath).refused(401, "CREDENTIAL_REVOKED") // it cannot be extended any more
}

func TestReportedGraceSecretEndsAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "ci", "expires_at": k.in(24 * time.Hour)})
	renewed := k.rotate(k.admin, keyPath("ci"), fields{"grace_seconds": 3600}).want(200).key()
	k.wantLeak(k.report(made.Secret).thanked(), made, "grace_ends_at", "revoked=false")
	k.get(made, keysPath).refused(401, "CREDENTIAL_INVALID")
	got := k.get(renewed, keyPath("ci")).want(200).key()
	if got.Status != "ACTIVE" || got.GraceEndsAt != "" {
		k.Errorf("the key is %s, its grace ends at %q", got.Status, got.GraceEndsAt)
	}
	k.wantLeak(k.report(renewed.Secret).thanked(), made, "revoked_at", "revoked=true")
}

// wantLeak expects one event and one log line that name the key and hold no secret.
func (k *kit) wantLeak(answer response, of key, changed, logged string) {
	k.Helper()
	id := answer.header.Get("X-Request-Id")
	events, err := k.db.AuditEvents(k.Context(), store.EventQuery{Limit: 1})
	k.must(err)
	keyID, err := apikey.ParseID(of.ID)
	k.must(err)
	want := store.Event{At: k.clock.Now(), Action: store.ActionLeak, Key: keyID, Owner: of.Owner, Name: of.Name,
		Actor: keyID, Via: "leak report", Address: "127.0.0.1", RequestID: id}
	if diff := cmp.Diff([]store.Event{want}, events, cmpopts.IgnoreFields(store.Event{}, "ID", "Mark", "Changes")); diff != "" {
		k.Errorf("the event differs (-want +got):\n%s", diff)
	}
	_, revoked := events[0].Changes.Get("revoked_at")
	_, graceEnded := events[0].Changes.Get("grace_ends_at")
	if revoked != (changed == "revoked_at") || graceEnded != (changed == "grace_ends_at") {
		k.Errorf("it changed %+v, want %s", events[0].Changes, changed)
	}
	lines := k.logged(id)
	if len(lines) != 1 {
		k.Fatalf("logged %q", lines)
	}
	for _, part := range []string{"level=WARN", "a leaked secret was ended", "key=" + of.ID, "owner=" + of.Owner, logged} {
		if !strings.Contains(lines[0], part) {
			k.Errorf("no %q in %s", part, lines[0])
		}
	}
}

func TestReportsThatDoNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secrets, _ := k.kinds()
	delete(secrets, "expired") // that one can still be revoked
	ended := k.mustCreate(k.admin, fields{"name": "ended", "expires_at": k.in(24 * time.Hour)})
	k.rotate(k.admin, keyPath("ended"), fields{"grace_seconds": 60}).want(200)
	k.clock.Advance(time.Minute)
	secrets["a secret whose grace ended"] = ended.Secret
	secrets["empty"], secrets["NUL"], secrets["60 KB"] = "", "\x00", strings.Repeat("a", 60<<10)
	secrets["a good secret among words"] = "my key is " + k.admin.Secret
	secrets["a good secret, with a line break"] = k.admin.Secret + "\n"
	before := k.everything()
	events, err := k.db.AuditEvents(k.Context(), store.EventQuery{Limit: 1000})
	k.must(err)
	for name, secret := range secrets {
		k.Run(name, func(k *kit) {
			answer := k.report(secret).thanked()
			if lines := k.logged(answer.header.Get("X-Request-Id")); len(lines) > 0 {
				k.Errorf("logged %q", lines)
			}
		})
	}
	after, err := k.db.AuditEvents(k.Context(), store.EventQuery{Limit: 1000})
	k.must(err)
	if diff := cmp.Diff(before, k.everything()) + cmp.Diff(events, after); diff != "" {
		k.Errorf("a report of nothing changed something (-before +after):\n%s", diff)
	}
}

// A report needs no credentials, and ignores any that it has.
func TestReportsArePublic(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for name, header := range map[string]http.Header{
		"an admin's":    {"X-Api-Key": {k.admin.Secret}},
		"a bad one":     {"X-Api-Key": {"hunter2"}},
		"two different": {"X-Api-Key": {k.admin.Secret, "hunter2"}},
		"basic":         {"Authorization": {basic("u", "p")}},
	} {
		k.Run(name, func(k *kit) {
			made := k.mustCreate(k.admin, fields{"name": name})
			k.do(request{method: "POST", path: leaksPath, header: header, body: fields{"key": made.Secret}.json(), foreign: true}).thanked()
			k.get(made, keysPath).refused(401, "CREDENTIAL_REVOKED")
		})
	}
	k.get(k.admin, keysPath).want(200)
}

func TestBadReports(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	post := request{method: "POST", path: leaksPath}
	for _, tt := range append(badQuestions, []badBody{
		{"scopes", `{"key":"s","scopes":[]}`, "scopes"},
		{"where it was found", `{"key":"s","url":"https://example.com"}`, "url"},
		{"a list, as scanners send", `[{"token":"s","type":"t","url":"u"}]`, "body"},
	}...) {
		k.Run(tt.name, func(k *kit) {
			k.clock.Advance(time.Minute) // so that the limit does not apply
			k.with(post, tt.body).invalid(tt.field)
		})
	}
	k.clock.Advance(time.Minute)
	post.path += "?key=" + k.admin.Secret
	k.with(post, `{"key":"s"}`).invalid("key")
	post.path, post.header = leaksPath, formHeader
	k.with(post, "key="+k.admin.Secret).invalid("Content-Type")
	post.header = http.Header{"Content-Type": {"application/json"}}
	k.with(post, "").invalid("body")
	k.with(post, `{"key":"`+strings.Repeat("a", 64<<10)+`"}`).refused(413, "BODY_TOO_LARGE")
	k.report("s").thanked()
	k.get(k.admin, keysPath).want(200)
}

func TestReportsAreSlowedDown(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const most = 30
	effective := func(i int) {
		k.Helper()
		made := k.mustCreate(k.admin, fields{"name": fmt.Sprint("key ", i)})
		k.report(made.Secret).thanked()
		k.get(made, keysPath).refused(401, "CREDENTIAL_REVOKED")
	}
	for i := range most + 10 { // effective ones are not counted
		effective(i)
	}
	for i := range most {
		k.report([]string{"", "hunter2", mistyped(k.admin.Secret)}[i%3]).thanked()
	}
	for _, forwarded := range []string{"", "10.0.0.1", "10.0.0.2, 10.0.0.3"} {
		header := http.Header{}
		if forwarded != "" {
			// A client cannot choose its address.
			header = http.Header{"X-Forwarded-For": {forwarded}, "X-Real-Ip": {forwarded}, "Forwarded": {"for=" + forwarded}}
		}
		answer := k.do(request{method: "POST", path: leaksPath, header: header, body: `{"key":"s"}`})
		answer.refused(429, "TOO_MANY_REQUESTS")
		answer.wantHeader("Retry-After", "2")
		if lines := k.logged(answer.header.Get("X-Request-Id")); len(lines) != 1 || !strings.Contains(lines[0], "status=429") {
			k.Errorf("logged %q", lines)
		}
	}
	effective(1000) // effective reports are not limited
	k.report("s").refused(429, "TOO_MANY_REQUESTS")
	k.clock.Advance(2*time.Second - time.Millisecond)
	answer := k.report("s")
	answer.refused(429, "TOO_MANY_REQUESTS")
	answer.wantHeader("Retry-After", "1")
	k.clock.Advance(time.Millisecond)
	k.report("s").thanked()
	k.report("s").refused(429, "TOO_MANY_REQUESTS")
	k.clock.Advance(time.Minute)
	for range most {
		k.report("s").thanked()
	}
	k.report("s").refused(429, "TOO_MANY_REQUESTS")
}

// endless is a store whose EndSecret returns fail's error.
type endless struct {
	store.Store
	fail error
}

func (s endless) EndSecret(context.Context, store.Actor) (apikey.Key, error) {
	return apikey.Key{}, s.fail
}

func TestReportsInTrouble(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fail   error
		status int
		code   string
	}{
		"overtaken by the holder":       {store.ErrNotFound, 202, ""},
		"unavailable":                   {store.ErrUnavailable, 503, "UNAVAILABLE"},
		"an error that nobody expected": {errors.New("the cause"), 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, func(c *handlers.Config) {
				c.Store = endless{storeOf(c), tt.fail}
			})
			answer := k.do(request{method: "POST", path: leaksPath, failing: true, body: fields{"key": k.admin.Secret}.json()})
			if tt.status == 202 {
				answer.thanked()
			} else {
				answer.refused(tt.status, tt.code)
			}
			if strings.Contains(k.log.String(), "was ended") {
				k.Errorf("the log says that something was ended:\n%s", k.log)
			}
			k.get(k.admin, keysPath).want(200)
		})
	}
}
