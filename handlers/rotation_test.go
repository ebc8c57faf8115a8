package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
)

// with returns the key with another of its secrets.
func (k key) with(secret string) key {
	k.Secret = secret
	return k
}

func TestRotate(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "ci", "owner": "team", "scopes": []string{"keys:read", "keys:write"},
		"metadata": fields{"plan": "pro"}, "rate_limit": fields{"limit": 5, "window_seconds": 60}})
	answer := k.rotate(k.admin, keyPath("ci")+"?owner=team", fields{"grace_seconds": 600}).want(200)
	want := made
	want.Secret, want.GraceEndsAt = answer.key().Secret, "2026-11-23T12:10:00.000Z"
	if diff := cmp.Diff(want, answer.key()); diff != "" || want.Secret == made.Secret {
		k.Errorf("the rotated key differs (-want +got):\n%s", diff)
	}
	secret, err := apikey.ParseSecret(want.Secret)
	k.must(err)
	if secret.ID().String() != made.ID || secret.Prefix() != made.Prefix {
		k.Errorf("the secret is one of %s, which begins with %s", secret.ID(), secret.Prefix())
	}
	// No later answer holds it, and both secrets work until the grace period ends.
	renewed := made.with(want.Secret)
	want.Secret = ""
	for _, by := range []key{made, renewed} {
		if diff := cmp.Diff(want, k.get(by, keyPath("ci")).want(200).key()); diff != "" {
			k.Errorf("the key differs (-want +got):\n%s", diff)
		}
	}
	k.clock.Advance(10*time.Minute - time.Millisecond)
	k.get(made, keysPath).want(200)
	k.clock.Advance(time.Millisecond)
	k.get(made, keysPath).refused(401, "CREDENTIAL_INVALID")
	want.GraceEndsAt = ""
	if diff := cmp.Diff(want, k.get(renewed, keyPath("ci")).want(200).key(), cmpopts.IgnoreFields(key{}, "LastUsedAt", "LastFrom")); diff != "" {
		k.Errorf("the key after its grace differs (-want +got):\n%s", diff)
	}
}

func TestRotationWithoutGrace(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	rotate := func(r request) func(*kit, key) response {
		return func(k *kit, target key) response {
			r.method, r.path, r.key = "POST", keyPath(target.ID)+"/rotate", k.admin.Secret
			return k.do(r)
		}
	}
	json := http.Header{"Content-Type": {"application/json"}}
	for name, call := range map[string]func(*kit, key) response{
		"no body":                  rotate(request{}),
		"no body, but a type":      rotate(request{header: json}),
		"no body, another type":    rotate(request{foreign: true, header: http.Header{"Content-Type": {"text/plain"}}}),
		"an empty chunked body":    rotate(request{chunked: true, foreign: true}),
		"the same, with a type":    rotate(request{chunked: true, foreign: true, header: json}),
		"an empty object":          rotate(request{body: `{}`}),
		"an empty object, chunked": rotate(request{body: `{}`, chunked: true}),
		"zero":                     rotate(request{body: `{"grace_seconds":0}`}),
		"zero in other clothes":    rotate(request{body: ` { "grace_seconds" : -0 } `}),
	} {
		k.Run(name, func(k *kit) {
			target := k.mustCreate(k.admin, fields{"name": name})
			got := call(k, target).want(200).key()
			if got.GraceEndsAt != "" {
				k.Errorf("the grace ends at %s", got.GraceEndsAt)
			}
			k.get(target, keysPath).refused(401, "CREDENTIAL_INVALID")
			k.get(got, keysPath).want(200)
		})
	}
}

func TestGraceBounds(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	year := k.in(365 * 24 * time.Hour)
	for _, tt := range []struct {
		name, grace, expires, want string
	}{
		{"a second", "1", year, "2026-11-23T12:00:01.000Z"},
		{"a number with a point", "60.0", year, "2026-11-23T12:01:00.000Z"},
		{"a number with an exponent", "6e1", year, "2026-11-23T12:01:00.000Z"},
		{"seven days", "604800", year, "2026-11-30T12:00:00.000Z"},
		{"up to the end of the key", "60", k.in(time.Minute), "2026-11-23T12:01:00.000Z"},
		{"past the end of the key", "604800", k.in(time.Minute), "2026-11-23T12:01:00.000Z"},
	} {
		k.Run(tt.name, func(k *kit) {
			target := k.mustCreate(k.admin, fields{"name": tt.name, "expires_at": tt.expires})
			r := request{method: "POST", path: keyPath(target.ID) + "/rotate", key: k.admin.Secret,
				body: `{"grace_seconds":` + tt.grace + `}`}
			if got := k.do(r).want(200).key().GraceEndsAt; got != tt.want {
				k.Errorf("the grace ends at %s, want %s", got, tt.want)
			}
		})
	}
}

func TestBadRotations(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, fields{"name": "target"})
	before := k.everything()
	const grace = "grace_seconds"
	for _, tt := range []badBody{
		{"negative", `{"grace_seconds":-1}`, grace},
		{"more than seven days", `{"grace_seconds":604801}`, grace},
		{"huge", `{"grace_seconds":1e300}`, grace},
		{"past 64 bits", `{"grace_seconds":18446744073709551616}`, grace},
		{"so much that it wraps to one second", `{"grace_seconds":18446744074}`, grace},
		{"fraction", `{"grace_seconds":0.5}`, grace},
		{"null", `{"grace_seconds":null}`, grace},
		{"text", `{"grace_seconds":"60"}`, grace},
		{"true", `{"grace_seconds":true}`, grace},
		{"array", `{"grace_seconds":[60]}`, grace},
		{"object", `{"grace_seconds":{}}`, grace},
		{"not a number", `{"grace_seconds":NaN}`, "body"},
		{"hexadecimal", `{"grace_seconds":0x3c}`, "body"},
		{"leading zero", `{"grace_seconds":060}`, "body"},
		{"twice", `{"grace_seconds":1,"grace_seconds":1}`, "body"},
		{"wrong case", `{"Grace_Seconds":60}`, "Grace_Seconds"},
		{"another property", `{"grace":60}`, "grace"},
		{"a secret of one's own", `{"secret":"mine"}`, "secret"},
		{"a property of changes", `{"name":"other"}`, "name"},
		{"body is null", `null`, "body"},
		{"body is an array", `[]`, "body"},
		{"body is a number", `60`, "body"},
		{"only white space", ` `, "body"},
		{"cut short", `{"grace_seconds":60`, "body"},
		{"trailing text", `{}{}`, "body"},
		{"deeply nested", `{"grace_seconds":` + nested("[", "1", "]", 9000) + `}`, "body"},
	} {
		k.Run(tt.name, func(k *kit) {
			for _, chunked := range []bool{false, true} {
				k.do(request{method: "POST", path: keyPath("target") + "/rotate", key: k.admin.Secret,
					body: tt.body, chunked: chunked}).invalid(tt.field)
			}
		})
	}
	post := request{method: "POST", path: keyPath("target") + "/rotate", key: k.admin.Secret, body: `{}`}
	for name, header := range map[string]http.Header{
		"no type": {"Content-Type": nil}, "a form": formHeader, "text": {"Content-Type": {"text/plain"}},
		"UTF-16": {"Content-Type": {"application/json; charset=utf-16"}},
	} {
		k.Run(name, func(k *kit) {
			post := post
			post.header = header
			k.do(post).invalid("Content-Type")
		})
	}
	for _, chunked := range []bool{false, true} {
		post.chunked = chunked
		k.with(post, `{}`+strings.Repeat(" ", 64<<10)).refused(413, "BODY_TOO_LARGE")
	}
	k.rotate(k.admin, keyPath("target")+"?grace_seconds=60", nil).invalid("grace_seconds")
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
	k.get(target, keysPath).want(200)
}

func TestRotateByNameAndID(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, name := range []string{"a/b", "a%2Fb", "a%252Fb", "a", "a b", "a+b", "ключ", "100%", "rotate", "/rotate", "a/rotate", "..."} {
		k.mustCreate(k.admin, fields{"name": name})
	}
	for _, target := range k.everything() {
		if target.ID == k.admin.ID {
			continue
		}
		for _, path := range []string{
			keyPath(target.Name), keysPath + "/" + percent(target.Name), keyPath(target.ID),
			keyPath(strings.ToUpper(target.ID)), keyPath(target.Name) + "?owner=admin",
		} {
			k.Run(target.Name+" as "+path, func(k *kit) {
				before := k.everything()
				got := k.rotate(k.admin, path, fields{"grace_seconds": 60}).want(200).key()
				if got.ID != target.ID || got.Name != target.Name {
					k.Fatalf("rotated %q", got.Name)
				}
				k.wantOnly(before, target.ID, func(k *key) { k.GraceEndsAt = "2026-11-23T12:01:00.000Z" })
				k.get(got, keysPath).want(200)
			})
		}
	}
	for _, path := range []string{
		keysPath + "/A", keysPath + "/a%2520b", keysPath + "/%00", keysPath + "/%ff", keyPath(someID), keysPath + "/a%20",
		keysPath + "/00000000-0000-0000-0000-000000000000", keysPath + "/" + strings.Repeat("n", 256), keyPath("nobody"),
	} {
		k.rotate(k.admin, path, nil).refused(404, "KEY_NOT_FOUND")
	}
	for _, path := range []string{"/v1/rotate", "/v1/api-keys//rotate", "/v1/api-keys/a/Rotate", "/v1/api-keys/a/rotate/", "/v1/api-keys/a/b/rotate"} {
		k.do(request{method: "POST", path: path, key: k.admin.Secret}).refused(404, "PATH_NOT_FOUND")
	}
}

func TestRotationOfEndedKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	revoked := k.mustCreate(k.admin, fields{"name": "revoked"})
	expired := k.mustCreate(k.admin, fields{"name": "expired", "expires_at": k.in(time.Second)})
	k.revoke(k.admin, keyPath("revoked")).want(200)
	k.clock.Advance(time.Second)
	for _, path := range []string{keyPath("revoked"), keyPath(revoked.ID)} {
		k.rotate(k.admin, path, nil).refused(409, "KEY_REVOKED")
	}
	k.get(revoked, keysPath).refused(401, "CREDENTIAL_REVOKED") // its secret still works

	// An expired key gets a secret for the time when it is extended. It needs no grace period.
	k.rotate(expired, keyPath("expired"), nil).refused(401, "CREDENTIAL_EXPIRED")
	renewed := k.rotate(k.admin, keyPath("expired"), fields{"grace_seconds": 60}).want(200).key()
	if renewed.Status != "EXPIRED" || renewed.GraceEndsAt != "" {
		k.Errorf("the key is %s, the grace ends at %q", renewed.Status, renewed.GraceEndsAt)
	}
	k.patch(k.admin, keyPath("expired"), fields{"expires_at": k.in(time.Hour)}).want(200)
	k.get(renewed, keysPath).want(200)
	k.get(expired, keysPath).refused(401, "CREDENTIAL_INVALID")
}

func TestKeyRotatesItself(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	first := k.add("team", "own", "keys:read", "keys:write", "datasets:read")
	second := k.rotate(first, keyPath("own"), nil).want(200).key()
	k.rotate(first, keyPath("own"), nil).refused(401, "CREDENTIAL_INVALID")
	k.get(first, keysPath).refused(401, "CREDENTIAL_INVALID")
	third := k.rotate(second, keyPath(second.ID), fields{"grace_seconds": 60}).want(200).key()
	// The old secret can rotate the current one, which ends the old secret.
	fourth := k.rotate(second, keyPath("own"), fields{"grace_seconds": 60}).want(200).key()
	k.get(second, keysPath).refused(401, "CREDENTIAL_INVALID")
	k.get(third, keysPath).want(200)
	k.get(fourth, keysPath).want(200)
	// Both secrets have all the key's rights, including to revoke it.
	k.patch(third, keyPath("own"), fields{"metadata": fields{"by": "the old secret"}}).want(200)
	k.revoke(third, keyPath("own")).want(200)
	for _, secret := range []key{third, fourth} {
		k.get(secret, keysPath).refused(401, "CREDENTIAL_REVOKED")
	}
	reader := k.add("team", "reader", "keys:read")
	k.rotate(reader, keyPath("reader"), nil).refused(403, "INSUFFICIENT_SCOPE")
	admin := k.rotate(k.admin, keyPath("admin"), nil).want(200).key()
	k.get(k.admin, keysPath).refused(401, "CREDENTIAL_INVALID")
	k.get(admin, keysPath).want(200)
}

// A change of expires_at can end the grace period earlier, but not later.
func TestGraceFollowsTheKeysEnd(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "expires_at": k.in(24 * time.Hour)})
	k.rotate(k.admin, keyPath("n"), fields{"grace_seconds": 3600}).want(200)
	for _, tt := range []struct {
		end  time.Duration
		want string
	}{
		{time.Minute, "2026-11-23T12:01:00.000Z"},
		{48 * time.Hour, "2026-11-23T13:00:00.000Z"},
	} {
		got := k.patch(k.admin, keyPath("n"), fields{"expires_at": k.in(tt.end)}).want(200).key()
		if got.GraceEndsAt != tt.want {
			k.Errorf("the grace ends at %s, want %s", got.GraceEndsAt, tt.want)
		}
	}
	k.get(made, keysPath).want(200)
	revoked := k.revoke(k.admin, keyPath("n")).want(200).key()
	if revoked.GraceEndsAt != "" {
		k.Errorf("the grace of a revoked key ends at %s", revoked.GraceEndsAt)
	}
}

// Every 200 returns a secret that worked, and the last of them still works.
func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const callers = 16
	for round := range 5 {
		target := k.mustCreate(k.admin, fields{"name": fmt.Sprint("key ", round)})
		answers := make([]response, callers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				<-start
				answers[i] = k.rotate(k.admin, keyPath(target.ID), nil)
			})
		}
		close(start)
		wg.Wait()
		good, rotated := 0, 0
		for _, answer := range answers {
			if answer.status != 200 {
				answer.refused(409, "KEY_ROTATED")
				continue
			}
			rotated++
			if k.get(answer.key(), keysPath).status == 200 {
				good++
			}
		}
		if rotated == 0 || good != 1 {
			k.Errorf("%d rotations were answered, %d of their secrets work", rotated, good)
		}
		k.get(target, keysPath).refused(401, "CREDENTIAL_INVALID")
	}
}
