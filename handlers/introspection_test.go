package handlers_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

const introspectPath = "/v1/introspect"

// introspection is the answer of introspectToken (RFC 7662, section 2.2).
type introspection struct {
	Active   bool   `json:"active"`
	Scope    string `json:"scope"`
	Sub      string `json:"sub"`
	ClientID string `json:"client_id"`
	Username string `json:"username"`
	Iat      int64  `json:"iat"`
	Exp      int64  `json:"exp"`
}

func (k *kit) introspect(by key, token string) response {
	k.Helper()
	return k.do(request{method: "POST", path: introspectPath, key: by.Secret, header: formHeader,
		body: url.Values{"token": {token}}.Encode()})
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	verifier := k.add("gateway", "verifier", apikey.ScopeVerify)
	made := k.mustCreate(k.admin, fields{"name": "ключ/1", "owner": "team", "scopes": []string{"b", "keys:read", "a"},
		"expires_at": "2026-11-24T12:00:00.999Z", "rate_limit": fields{"limit": 1, "window_seconds": 60}})
	want := introspection{
		Active: true, Scope: "b keys:read a", Sub: "team", ClientID: made.ID, Username: "ключ/1",
		Iat: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Unix(),
		Exp: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Unix(), // never later than its end
	}
	wantOf := func(what string, secret string, want introspection) {
		k.Helper()
		if diff := cmp.Diff(want, decode[introspection](k.introspect(verifier, secret).want(200))); diff != "" {
			k.Errorf("%s differs (-want +got):\n%s", what, diff)
		}
	}
	for range 3 { // over its rate limit
		wantOf("a good token", made.Secret, want)
	}
	k.must(k.verifier.Keys.Flush(k.Context()))
	if got := k.get(k.admin, keyPath(made.ID)).want(200).key().LastUsedAt; got != "2026-11-23T12:00:00.000Z" {
		k.Errorf("last used at %q", got)
	}
	bare := k.mustCreate(k.admin, fields{"name": "bare", "scopes": []string{}})
	if text := string(k.introspect(verifier, bare.Secret).want(200).raw); !strings.Contains(text, `"scope":""`) {
		k.Errorf("a key without scopes is %s", text)
	}

	// The old secret ends with the grace period, not the key.
	renewed := k.rotate(k.admin, keyPath(made.ID), fields{"grace_seconds": 60}).want(200).key()
	wantOf("the new secret", renewed.Secret, want)
	want.Exp = want.Iat + 60
	wantOf("the old secret in its grace", made.Secret, want)
	k.clock.Advance(time.Minute)
	wantOf("the old secret after its grace", made.Secret, introspection{})

	// An inactive token's answer says nothing else (section 2.2), whatever the reason.
	secrets, _ := k.kinds()
	secrets["a space"], secrets["NUL"], secrets["60 KB"] = " ", "\x00", strings.Repeat("a", 60<<10)
	for name, secret := range secrets {
		k.Run(name, func(k *kit) {
			answer := k.introspect(verifier, secret).want(200)
			if text := strings.TrimSpace(string(answer.raw)); text != `{"active":false}` {
				k.Errorf("the answer is %s", text)
			}
		})
	}
}

func TestIntrospectionForms(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := k.admin.Secret
	post := request{method: "POST", path: introspectPath, key: secret, header: formHeader, foreign: true}
	for _, tt := range []struct {
		name, body string
		active     bool
	}{
		{"a hint", "token=" + secret + "&token_type_hint=access_token", true},
		{"a hint of another kind", "token_type_hint=refresh_token&token=" + secret, true},
		{"a hint that is unknown", "token=" + secret + "&token_type_hint=%00%ff", true},
		{"an empty hint", "token=" + secret + "&token_type_hint=", true},
		{"unknown parameters", "resource=x&token=" + secret + "&a%5B0%5D=1&=2", true},
		{"unknown, in wrong case", "TOKEN=x&Token=y&token=" + secret, true},
		{"the name in disguise", "%74oken=" + percent(secret), true},
		{"an empty pair", "&&token=" + secret + "&", true},
		{"a token with a plus sign", "token=+" + secret, false},
		{"a token that is not UTF-8", "token=%ff%fe", false},
		{"a token in array brackets beside it", "token%5B0%5D=" + secret + "&token=x", false},
		{"a nested one beside it", "token.x=" + secret + "&token=x", false},
	} {
		k.Run(tt.name, func(k *kit) {
			for _, chunked := range []bool{false, true} {
				post := post
				post.chunked = chunked
				if got := decode[introspection](k.with(post, tt.body).want(200)).Active; got != tt.active {
					k.Errorf("active is %t", got)
				}
			}
		})
	}
	for _, tt := range []badBody{
		{"empty", "", "token"},
		{"no token", "token_type_hint=access_token", "token"},
		{"an empty token", "token=", "token"},
		{"a token without a value", "token", "token"},
		{"wrong case alone", "Token=" + secret, "token"},
		{"two tokens", "token=" + secret + "&token=other", "token"},
		{"the same token twice", "token=" + secret + "&token=" + secret, "token"},
		{"a second one that is empty", "token=" + secret + "&token=", "token"},
		{"twice in disguise", "token=" + secret + "&%74oken=" + secret, "token"},
		{"a hint twice", "token=x&token_type_hint=a&token_type_hint=b", "token_type_hint"},
		{"an unknown one twice", "token=x&a=1&a=2", "a"},
		{"a broken escape", "token=%zz", "body"},
		{"a cut escape", "token=%a", "body"},
		{"a broken escape elsewhere", "token=x&a=%", "body"},
		{"a semicolon", "token=x;a=1", "body"},
		{"JSON", fields{"token": secret}.json(), "token"},
	} {
		k.Run(tt.name, func(k *kit) { k.with(post, tt.body).invalid(tt.field) })
	}
	for name, header := range map[string]http.Header{
		"no type":           {"Content-Type": nil},
		"JSON as type":      {"Content-Type": {"application/json"}},
		"multipart":         {"Content-Type": {"multipart/form-data; boundary=x"}},
		"text":              {"Content-Type": {"text/plain"}},
		"another charset":   {"Content-Type": {"application/x-www-form-urlencoded; charset=utf-16"}},
		"the type twice":    {"Content-Type": {formHeader.Get("Content-Type"), formHeader.Get("Content-Type")}},
		"a type like it":    {"Content-Type": {"application/x-www-form-urlencodedx"}},
		"a broken charset":  {"Content-Type": {"application/x-www-form-urlencoded; charset"}},
		"an empty type":     {"Content-Type": {""}},
		"a list with it":    {"Content-Type": {"application/x-www-form-urlencoded, text/plain"}},
		"a suffix of ours":  {"Content-Type": {"application/token-introspection+jwt"}},
		"a type in spaces":  {"Content-Type": {"application / x-www-form-urlencoded"}},
		"only the sub type": {"Content-Type": {"x-www-form-urlencoded"}},
	} {
		k.Run(name, func(k *kit) {
			post := post
			post.header = header
			k.with(post, "token="+secret).invalid("Content-Type")
		})
	}
	k.Run("a type with charset", func(k *kit) {
		post := post
		post.header = http.Header{"Content-Type": {"Application/X-WWW-Form-Urlencoded; charset=UTF-8"}}
		k.with(post, "token="+secret).want(200)
	})
	k.Run("a token in the query", func(k *kit) {
		post := post
		post.path += "?token=" + secret
		k.with(post, "token=x").invalid("token")
		k.with(post, "").invalid("token")
	})
	k.with(post, "token="+strings.Repeat("a", 64<<10)).refused(413, "BODY_TOO_LARGE")
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestIntrospectionByBasic(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	good := k.add("gateway", "verifier", apikey.ScopeVerify).Secret
	other := k.add("gateway", "other", apikey.ScopeVerify).Secret
	lacking := k.add("gateway", "lacking", apikey.ScopeRead).Secret
	const pass = ""
	for _, tt := range []struct {
		name          string
		apiKey        []string
		authorization []string
		status        int
		code          string
	}{
		{"any user name", nil, []string{basic("anybody", good)}, 200, pass},
		{"no user name", nil, []string{basic("", good)}, 200, pass},
		{"a user name of all sorts", nil, []string{basic("ключ %zz\"", good)}, 200, pass},
		{"percent-encoded, as OAuth clients do", nil, []string{basic("a%3Ab", percent(good))}, 200, pass},
		{"in lower case", nil, []string{strings.Replace(basic("", good), "Basic", "basic", 1)}, 200, pass},
		{"the same as x-api-key", []string{good}, []string{basic("u", good)}, 200, pass},
		{"the same as bearer", nil, []string{"Bearer " + good, basic("u", good)}, 200, pass},
		{"an empty password beside a good key", []string{good}, []string{basic("u", "")}, 200, pass},
		{"bearer", nil, []string{"Bearer " + good}, 200, pass},

		{"another than x-api-key", []string{good}, []string{basic("u", other)}, 401, "CREDENTIAL_AMBIGUOUS"},
		{"another than bearer", nil, []string{basic("u", other), "Bearer " + good}, 401, "CREDENTIAL_AMBIGUOUS"},
		{"another than bearer, after it", nil, []string{"Bearer " + good, basic("u", other)}, 401, "CREDENTIAL_AMBIGUOUS"},
		{"two different passwords", nil, []string{basic("u", good), basic("u", other)}, 401, "CREDENTIAL_AMBIGUOUS"},
		{"the key as user name", nil, []string{basic(good, "x")}, 401, "CREDENTIAL_INVALID"},
		{"the key as user name alone", nil, []string{basic(good, "")}, 401, "CREDENTIAL_MISSING"},
		{"a colon in the user name", nil, []string{basic("a:b", good)}, 401, "CREDENTIAL_INVALID"},
		{"encoded twice", nil, []string{basic("u", percent(percent(good)))}, 401, "CREDENTIAL_INVALID"},
		{"a broken escape", nil, []string{basic("u", "%zz"+good)}, 401, "CREDENTIAL_INVALID"},
		{"a plus sign, which is a space", nil, []string{basic("u", "+"+good)}, 401, "CREDENTIAL_INVALID"},
		{"malformed", nil, []string{basic("u", "hunter2")}, 401, "CREDENTIAL_INVALID"},
		{"no colon", nil, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(good))}, 401, "CREDENTIAL_MISSING"},
		{"no base64", nil, []string{"Basic " + good}, 401, "CREDENTIAL_MISSING"},
		{"nothing", nil, []string{"Basic"}, 401, "CREDENTIAL_MISSING"},
		{"none", nil, nil, 401, "CREDENTIAL_MISSING"},
		{"without the scope", nil, []string{basic("u", lacking)}, 403, "INSUFFICIENT_SCOPE"},
	} {
		k.Run(tt.name, func(k *kit) {
			header := formHeader.Clone()
			header["X-Api-Key"], header["Authorization"] = tt.apiKey, tt.authorization
			answer := k.do(request{method: "POST", path: introspectPath, header: header, body: "token=x", foreign: true})
			if tt.code == pass {
				answer.want(200)
				return
			}
			answer.refused(tt.status, tt.code)
			challenges := answer.header.Values("WWW-Authenticate")
			var want []string
			switch {
			case tt.status == 403:
				want = []string{`Bearer realm="apikeyd", error="insufficient_scope", scope="keys:verify"`}
			case tt.code == "CREDENTIAL_MISSING":
				want = []string{`Bearer realm="apikeyd"`, `Basic realm="apikeyd"`}
			default:
				want = []string{`Bearer realm="apikeyd", error="invalid_token"`, `Basic realm="apikeyd"`}
			}
			if diff := cmp.Diff(want, challenges); diff != "" {
				k.Errorf("the challenges differ (-want +got):\n%s", diff)
			}
		})
	}
	// No other operation accepts or offers it.
	target := k.add("team", "target")
	requests := []request{{path: forwardPath}}
	for _, op := range k.operations(target.ID) {
		if op.path != introspectPath {
			requests = append(requests, request{method: op.method, path: op.path})
		}
	}
	for _, r := range requests {
		k.Run(r.method+" "+r.path, func(k *kit) {
			r := r
			r.header = http.Header{"Authorization": {basic("u", k.admin.Secret)}}
			answer := k.do(r)
			answer.refused(401, "CREDENTIAL_MISSING")
			if got := answer.header.Values("WWW-Authenticate"); len(got) != 1 {
				k.Errorf("the challenges are %q", got)
			}
		})
	}
}
