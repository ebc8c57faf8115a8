package handlers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

const verifyPath = "/v1/verify"

// verdict is an answer of verifyApiKey.
type verdict struct {
	Valid             bool   `json:"valid"`
	Code              string `json:"code"`
	Key               *key   `json:"key"`
	RetryAfterSeconds int    `json:"retry_after_seconds"`
	Quota             *struct {
		Remaining int
		ResetsAt  string `json:"resets_at"`
	}
}

// ask verifies a secret.
func (k *kit) ask(by key, secret string, scopes ...string) response {
	k.Helper()
	body := fields{"key": secret}
	if len(scopes) > 0 {
		body["scopes"] = scopes
	}
	return k.do(request{method: "POST", path: verifyPath, key: by.Secret, body: body.json()})
}

// askAt verifies a secret for a call with a cost.
func (k *kit) askAt(by key, secret string, cost int) response {
	k.Helper()
	return k.do(request{method: "POST", path: verifyPath, key: by.Secret, body: fields{"key": secret, "cost": cost}.json()})
}

// kinds returns a secret of every kind that is not valid, and its verdict.
func (k *kit) kinds() (secrets map[string]string, codes map[string]string) {
	k.Helper()
	expired := k.mustCreate(k.admin, fields{"name": "kind: expired", "expires_at": k.in(time.Second)})
	k.clock.Advance(time.Second)
	revoked := k.mustCreate(k.admin, fields{"name": "kind: revoked"})
	k.revoke(k.admin, keyPath(revoked.ID)).want(200)
	rotated := k.mustCreate(k.admin, fields{"name": "kind: rotated out"})
	k.rotate(k.admin, keyPath(rotated.ID), nil).want(200)
	strangers := func(of key) string {
		parsed, err := apikey.ParseSecret(of.Secret)
		k.must(err)
		secret := apikey.NewSecret("ak", parsed.ID()).Reveal()
		k.secrets.add(secret)
		return secret
	}
	unknown := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	k.secrets.add(unknown)
	return map[string]string{
			"expired": expired.Secret, "revoked": revoked.Secret, "rotated out": rotated.Secret,
			"unknown": unknown, "malformed": "hunter2", "wrong checksum": mistyped(rotated.Secret),
			"another secret of a good key": strangers(rotated), "another secret of a revoked key": strangers(revoked),
			"another secret of an expired key": strangers(expired), "an id": rotated.ID, "a prefix": rotated.Prefix,
		}, map[string]string{
			"expired": "EXPIRED", "revoked": "REVOKED",
		}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	verifier := k.add("gateway", "verifier", apikey.ScopeVerify)
	good := k.mustCreate(k.admin, fields{"name": "good", "owner": "team", "scopes": []string{"a", "b", "keys:read"}})
	bare := k.mustCreate(k.admin, fields{"name": "bare", "owner": "team", "scopes": []string{}})
	tests := []struct {
		name   string
		key    key
		scopes []string
		code   string
	}{
		{"no scope asked for", bare, nil, "VALID"},
		{"a scope that it has", good, []string{"a"}, "VALID"},
		{"all of its scopes, in another order", good, []string{"keys:read", "b", "a"}, "VALID"},
		{"one of ours, by an admin", k.admin, ownScopes, "VALID"},
		{"the asking key itself", verifier, []string{"keys:verify"}, "VALID"},
		{"a scope that it lacks", good, []string{"c"}, "INSUFFICIENT_SCOPE"},
		{"one of several that it lacks", good, []string{"a", "b", "c"}, "INSUFFICIENT_SCOPE"},
		{"another case", good, []string{"A"}, "INSUFFICIENT_SCOPE"},
		{"any scope, of a key without", bare, []string{"a"}, "INSUFFICIENT_SCOPE"},
		{"an integrator's scope, of an admin", k.admin, []string{"a"}, "INSUFFICIENT_SCOPE"},
		{"an unknown one of ours, of an admin", k.admin, []string{"keys:other"}, "INSUFFICIENT_SCOPE"},
		{"64 scopes", good, numbered(64), "INSUFFICIENT_SCOPE"},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			for _, by := range []key{verifier, k.admin} {
				got := decode[verdict](k.ask(by, tt.key.Secret, tt.scopes...).want(200))
				want := k.get(k.admin, keyPath(tt.key.ID)).want(200).key()
				if diff := cmp.Diff(verdict{Valid: tt.code == "VALID", Code: tt.code, Key: &want}, got); diff != "" {
					k.Errorf("the verdict differs (-want +got):\n%s", diff)
				}
			}
		})
	}
	secrets, codes := k.kinds()
	for name, secret := range secrets {
		k.Run(name, func(k *kit) {
			for _, scopes := range [][]string{nil, {"keys:read"}, {"lacking"}} {
				answer := k.ask(verifier, secret, scopes...).want(200)
				got := decode[verdict](answer)
				if code, known := codes[name]; known {
					if got.Valid || got.Code != code || got.Key == nil || got.Key.Status != code {
						k.Errorf("the verdict is %s", answer.raw)
					}
				} else if text := strings.TrimSpace(string(answer.raw)); text != `{"code":"NOT_FOUND","valid":false}` {
					k.Errorf("the verdict is %s", text)
				}
			}
		})
	}
}

// Any string can be verified, and no answer repeats it.
func TestVerifyTakesAnyString(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const frame = len(`{"key":""}`)
	good := k.admin.Secret
	for name, secret := range map[string]string{
		"empty": "", "a space": " ", "NUL": "\x00", "NUL after a secret": good + "\x00", "NUL inside": good[:30] + "\x00" + good[30:],
		"every control character": "\x01\x02\x1b\x7f\u0085", "line break after a secret": good + "\n", "space before": " " + good,
		"quoted": `"` + good + `"`, "two of them": good + good, "in capitals": strings.ToUpper(good), "percent-encoded": percent(good),
		"replacement character": "\ufffd", "beyond the BMP": "🔑𝒦", "right to left": "\u202e" + good, "JSON": `{"key":"x"}`, "null": "null",
		"with its scheme": "Bearer " + good, "full-width underscore": strings.Replace(good, "_", "＿", 1),
		"as long as a body may be": strings.Repeat("a", 64<<10-frame), "a long prefix": strings.Repeat("a", 60<<10) + good,
		"letters of many bytes": strings.Repeat("я", 30<<10),
	} {
		k.Run(name, func(k *kit) {
			answer := k.ask(k.admin, secret).want(200)
			if text := strings.TrimSpace(string(answer.raw)); text != `{"code":"NOT_FOUND","valid":false}` {
				k.Errorf("the verdict is %.200s", text)
			}
		})
	}
	k.do(request{method: "POST", path: verifyPath, key: good, body: `{"key":"\u0061\u0000\uD83D\uDD11"}`}).want(200)
	k.ask(k.admin, strings.Repeat("a", 64<<10-frame+1)).refused(413, "BODY_TOO_LARGE")
}

// badQuestions are bodies that both verify and a leak report refuse.
var badQuestions = []badBody{
	{"empty object", `{}`, "key"},
	{"null", `null`, "body"},
	{"array", `["s"]`, "body"},
	{"string", `"s"`, "body"},
	{"white space", ` `, "body"},
	{"cut short", `{"key":"s"`, "body"},
	{"trailing text", `{"key":"s"}x`, "body"},
	{"key twice", `{"key":"s","key":"s"}`, "body"},
	{"invalid UTF-8", `{"key":"` + "\xff" + `"}`, "body"},
	{"lone surrogate", `{"key":"\ud800"}`, "body"},
	{"raw NUL", `{"key":"` + "\x00" + `"}`, "body"},
	{"key is null", `{"key":null}`, "key"},
	{"key is a number", `{"key":1}`, "key"},
	{"key is true", `{"key":true}`, "key"},
	{"key is an array", `{"key":["s"]}`, "key"},
	{"key is an object", `{"key":{"key":"s"}}`, "key"},
	{"wrong-case key", `{"Key":"s"}`, "Key"},
	{"wrong-case key beside the right one", `{"key":"s","KEY":"s"}`, "KEY"},
	{"unknown property", `{"key":"s","owner":"team"}`, "owner"},
	{"a token", `{"token":"s"}`, "token"},
	{"9,000 arrays", `{"key":` + nested("[", "1", "]", 9000) + `}`, "body"},
}

func TestBadVerifications(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	post := request{method: "POST", path: verifyPath, key: k.admin.Secret}
	for _, tt := range append(badQuestions, []badBody{
		{"scopes is null", `{"key":"s","scopes":null}`, "scopes"},
		{"scopes is a string", `{"key":"s","scopes":"a b"}`, "scopes"},
		{"scopes is an object", `{"key":"s","scopes":{"0":"a"}}`, "scopes"},
		{"a scope is null", `{"key":"s","scopes":["a",null]}`, "scopes.1"},
		{"a scope is a number", `{"key":"s","scopes":[1]}`, "scopes.0"},
		{"a scope is empty", `{"key":"s","scopes":[""]}`, "scopes.0"},
		{"a scope with a space", `{"key":"s","scopes":["a b"]}`, "scopes.0"},
		{"a scope with a comma", `{"key":"s","scopes":["a,b"]}`, "scopes.0"},
		{"a scope with a quote", `{"key":"s","scopes":["a\"b"]}`, "scopes.0"},
		{"a scope that is not ASCII", `{"key":"s","scopes":["ключ"]}`, "scopes.0"},
		{"a scope of 129 characters", `{"key":"s","scopes":["` + strings.Repeat("s", 129) + `"]}`, "scopes.0"},
		{"a scope twice", `{"key":"s","scopes":["a","a"]}`, "scopes"},
		{"65 scopes", fields{"key": "s", "scopes": numbered(65)}.json(), "scopes"},
		{"scope", `{"key":"s","scope":"a"}`, "scope"},
	}...) {
		k.Run(tt.name, func(k *kit) { k.with(post, tt.body).invalid(tt.field) })
	}
	k.Run("empty", func(k *kit) {
		post := post
		post.header = map[string][]string{"Content-Type": {"application/json"}}
		k.do(post).invalid("body")
	})
	k.Run("a form", func(k *kit) {
		post := post
		post.header = formHeader
		k.with(post, "key=s").invalid("Content-Type")
	})
	k.Run("in the query", func(k *kit) {
		k.do(request{method: "POST", path: verifyPath + "?key=s", key: k.admin.Secret, body: `{"key":"s"}`}).invalid("key")
	})
}

func TestVerifyCounts(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	verifier := k.add("gateway", "verifier", apikey.ScopeVerify)
	limited := k.mustCreate(k.admin, fields{"name": "limited", "owner": "team", "scopes": []string{"a"},
		"rate_limit": fields{"limit": 2, "window_seconds": 90}, "expires_at": k.in(time.Hour)})
	refusals := func(want string) {
		k.Helper()
		for range 5 { // none of them counts against the limit
			k.wantVerdict("INSUFFICIENT_SCOPE", 0, k.ask(verifier, limited.Secret, "b"))
			k.wantVerdict("NOT_FOUND", 0, k.ask(verifier, mistyped(limited.Secret)))
		}
		k.must(k.verifier.Keys.Flush(k.Context()))
		if got := k.get(k.admin, keyPath(limited.ID)).want(200).key().LastUsedAt; got != want {
			k.Errorf("last used at %q, want %q", got, want)
		}
	}
	refusals("")
	k.wantVerdict("VALID", 0, k.ask(verifier, limited.Secret, "a"))
	k.do(request{path: forwardPath, key: limited.Secret}).want(200) // against the same limit
	refusals("2026-11-23T12:00:00.000Z")
	k.clock.Advance(time.Second / 2)
	k.wantVerdict("RATE_LIMITED", 45, k.ask(verifier, limited.Secret)) // 44.5 s, rounded up
	k.wantVerdict("RATE_LIMITED", 45, k.ask(verifier, limited.Secret, "a"))
	k.do(request{path: forwardPath, key: limited.Secret}).refused(403, "RATE_LIMITED")
	refusals("2026-11-23T12:00:00.000Z")
	// Introspection and the key's own calls do not count.
	k.introspect(verifier, limited.Secret).want(200)
	k.clock.Advance(44500 * time.Millisecond)
	k.wantVerdict("VALID", 0, k.ask(verifier, limited.Secret))
	k.wantVerdict("RATE_LIMITED", 45, k.ask(verifier, limited.Secret))
	k.revoke(k.admin, keyPath(limited.ID)).want(200)
	k.wantVerdict("REVOKED", 0, k.ask(verifier, limited.Secret, "b"))
}

func (k *kit) wantVerdict(code string, retryAfter int, answer response) {
	k.Helper()
	got := decode[verdict](answer.want(200))
	if got.Code != code || got.Valid != (code == "VALID") || got.RetryAfterSeconds != retryAfter {
		k.Errorf("the verdict is %s, want %s and %d s", answer.raw, code, retryAfter)
	}
}
