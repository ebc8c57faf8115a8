package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// forward makes a gateway's request, with its client's additions.
func (k *kit) forward(secret, query string) response {
	k.Helper()
	return k.do(request{path: forwardPath + query, key: secret, foreign: true})
}

// repeated repeats a pattern with consecutive numbers.
func repeated(pattern string, times int) string {
	var b strings.Builder
	for i := range times {
		fmt.Fprintf(&b, pattern, i)
	}
	return b.String()
}

func TestForwardAuthQuery(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := k.add("team", "client", "a", "b", "x;y", "x+y", "x&y", "x=y", "scope", "keys:read").Secret
	long := strings.Repeat("s", 129)
	const pass, lacks, malformed = "", "INSUFFICIENT_SCOPE", "FORBIDDEN"
	for _, tt := range []struct {
		name, query, code string
		lacking           string // in the challenge
	}{
		{"none", "", pass, ""},
		{"empty", "?", pass, ""},
		{"one", "?scope=a", pass, ""},
		{"two by %20", "?scope=a%20b", pass, ""},
		{"two by a plus", "?scope=a+b", pass, ""},
		{"two by a tab", "?scope=a%09b", pass, ""},
		{"two by repetition", "?scope=a&scope=b", pass, ""},
		{"the same twice", "?scope=a&scope=a+a", pass, ""},
		{"spaces around", "?scope=%20+a++b+", pass, ""},
		{"encoded more than needed", "?%73%63ope=%61", pass, ""},
		{"one of ours", "?scope=keys:read", pass, ""},
		{"a scope with a semicolon", "?scope=x;y", pass, ""},
		{"a scope with a plus", "?scope=x%2By", pass, ""},
		{"a scope with an ampersand", "?scope=x%26y", pass, ""},
		{"a scope with an equals sign", "?scope=x=y", pass, ""},
		{"a thousand times", "?scope=" + strings.Repeat("a+", 1000) + "b", pass, ""},

		{"one that lacks", "?scope=c", lacks, "c"},
		{"the second lacks", "?scope=a+c", lacks, "c"},
		{"the first lacks", "?scope=c&scope=a", lacks, "c"},
		{"two lack", "?scope=c+d&scope=a", lacks, "c d"},
		{"another case", "?scope=A", lacks, "A"},
		{"name in disguise", "?sc%6Fpe=c", lacks, "c"},
		{"a plus that is a space", "?scope=x+y", lacks, "x y"},
		{"a semicolon is no separator", "?scope=a;scope=b", lacks, "a;scope=b"},
		{"an array", "?scope=%5B%22a%22%5D", malformed, ""},
		{"encoded twice", "?scope=a%2520b", lacks, "a%20b"},
		{"an unknown one of ours", "?scope=keys:other", lacks, "keys:other"},
		{"keys:write", "?scope=keys:write", lacks, "keys:write"},

		{"empty value", "?scope=", malformed, ""},
		{"no value", "?scope", malformed, ""},
		{"only a space", "?scope=+", malformed, ""},
		{"only a no-break space", "?scope=%C2%A0", malformed, ""},
		{"empty beside a good one", "?scope=a&scope=", malformed, ""},
		{"empty before a good one", "?scope&scope=a", malformed, ""},
		{"a broken escape", "?scope=%zz", malformed, ""},
		{"a broken escape after a good one", "?scope=a%", malformed, ""},
		{"a cut escape beside a good one", "?scope=a&scope=b%2", malformed, ""},
		{"NUL", "?scope=a%00", malformed, ""},
		{"line feed inside", "?scope=a%0Ab", pass, ""},
		{"escape character", "?scope=%1B", malformed, ""},
		{"a quote", "?scope=a%22", malformed, ""},
		{"a backslash", "?scope=a%5C", malformed, ""},
		{"not ASCII", "?scope=%D0%BA", malformed, ""},
		{"not ASCII, as it is", "?scope=ключ", malformed, ""},
		{"not UTF-8", "?scope=%ff", malformed, ""},
		{"129 characters", "?scope=" + long, malformed, ""},
		{"malformed and lacking", "?scope=c&scope=%22", malformed, ""},

		{"the client's own parameters", "?scope=a&path=/x&b=%zz&%zz=1&c[]=1&;&&=&=1&d=e;f", pass, ""},
		{"the client asks for less", "?scope=c&scope=a", lacks, "c"},
		{"the client asks for nothing", "?scope=c&scope=", malformed, ""},
		{"the client asks for more", "?scope=a&scope=admin", lacks, "admin"},
		{"another's parameters alone", "?xscope=c&scoped=c&scope_id=c&scope-id=c&my.scope=c&scop=c&scopess=c&%=c&x=scope=c", pass, ""},
		{"8 KB of another's", "?scope=a&x=" + strings.Repeat("x", 8<<10), pass, ""},
		{"the key in the query is no credential", "?scope=a&x-api-key=other", pass, ""},

		{"misspelled: plural", "?scopes=a", malformed, ""},
		{"misspelled: capital", "?Scope=a", malformed, ""},
		{"misspelled: upper case", "?SCOPE=a", malformed, ""},
		{"misspelled: plural in upper case", "?Scopes=a", malformed, ""},
		{"misspelled: array", "?scope[]=a", malformed, ""},
		{"misspelled: array, encoded", "?scope%5B%5d=a", malformed, ""},
		{"misspelled: indexed array", "?scope[0]=a&scope[1]=b", malformed, ""},
		{"misspelled: array of the plural", "?scopes[]=a", malformed, ""},
		{"misspelled: half an array", "?scope[=a", malformed, ""},
		{"misspelled: space before", "?%20scope=a", malformed, ""},
		{"misspelled: space after", "?scope+=a", malformed, ""},
		{"misspelled: in disguise", "?%53cope=a", malformed, ""},
		{"misspelled: encoded equals sign", "?scope%3Da", malformed, ""},
		{"misspelled: colon", "?scope:a", malformed, ""},
		{"misspelled: HTML", "?rate_limited=429&amp;scope=a", malformed, ""},
		{"misspelled without a value", "?scopes", malformed, ""},
		{"misspelled beside a good one", "?scope=a&scopes=b", malformed, ""},
		{"misspelled after another's", "?x=1&;&&Scope=a", malformed, ""},
		{"more scopes than a key can have", "?" + repeated("scope=s%d&", 65), malformed, ""},
		{"more parameters than are read", "?scope=a&" + strings.TrimSuffix(repeated("p%d&", 1000), "&"), malformed, ""},
		{"as many parameters as are read", "?scope=a&" + strings.TrimSuffix(repeated("p%d&", 999), "&"), pass, ""},
	} {
		k.Run(tt.name, func(k *kit) {
			answer := k.forward(secret, tt.query)
			if tt.code == pass {
				answer.want(200)
				return
			}
			answer.refused(403, tt.code)
			challenge := ""
			if tt.lacking != "" {
				challenge = `Bearer realm="apikeyd", error="insufficient_scope", scope="` + tt.lacking + `"`
			}
			answer.wantHeader("WWW-Authenticate", challenge)
		})
	}
	// A comma is refused, and the scopes are named.
	for query, scopes := range map[string]string{
		"?scope=a,b": `"a" and "b"`, "?scope=a&scope=a%2Cb": `"a" and "b"`, "?scope=a,b+%22": `"a" and "b"`,
	} {
		want := "scope must not hold a comma: write " + scopes + " as separate scopes"
		if got := k.forward(secret, query).invalid("scope").Message; !strings.Contains(got, want) {
			k.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	// Other reasons for a refusal come first.
	k.forward("", "?scope=%zz").refused(401, "CREDENTIAL_MISSING")
	k.forward(mistyped(secret), "?scope=c").refused(401, "CREDENTIAL_INVALID")
}

func TestForwardAuthOutcomes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	good := k.add("team", "good", "a")
	secrets, codes := k.kinds()
	for name, secret := range secrets {
		k.Run(name, func(k *kit) {
			code := "CREDENTIAL_INVALID"
			if known := codes[name]; known != "" {
				code = "CREDENTIAL_" + known
			}
			for _, query := range []string{"", "?scope=lacking", "?rate_limited=429"} {
				answer := k.do(request{path: forwardPath + query, key: secret})
				answer.refused(401, code)
				answer.wantHeader("WWW-Authenticate", `Bearer realm="apikeyd", error="invalid_token"`)
				answer.wantNoIdentity()
			}
		})
	}
	missing := k.do(request{path: forwardPath})
	missing.refused(401, "CREDENTIAL_MISSING")
	missing.wantHeader("WWW-Authenticate", `Bearer realm="apikeyd"`)
	k.do(request{path: forwardPath, header: http.Header{"X-Api-Key": {good.Secret, k.admin.Secret}}}).
		refused(401, "CREDENTIAL_AMBIGUOUS")
	k.do(request{path: forwardPath, header: http.Header{"Authorization": {"Bearer " + good.Secret}}}).want(200)
	k.do(request{path: forwardPath + "?scope=c", key: good.Secret}).wantNoIdentity()
	// keys:admin includes apikeyd's own scopes, and none of an integrator's.
	k.do(request{path: forwardPath + "?scope=a", key: k.admin.Secret}).refused(403, "INSUFFICIENT_SCOPE")
	k.do(request{path: forwardPath + "?scope=keys:verify+keys:write", key: k.admin.Secret}).want(200)
	// The old secret works during its grace period.
	renewed := k.rotate(k.admin, keyPath(good.ID), fields{"grace_seconds": 60}).want(200).key()
	k.do(request{path: forwardPath + "?scope=a", key: good.Secret}).want(200)
	k.do(request{path: forwardPath + "?scope=a", key: renewed.Secret}).want(200)
	k.clock.Advance(time.Minute)
	k.do(request{path: forwardPath, key: good.Secret}).refused(401, "CREDENTIAL_INVALID")
}

// Gateways forward their client's method, path and body.
func TestForwardAuthTakesEveryRequest(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := k.add("team", "client", "a").Secret
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "REPORT",
		"MKCOL", "BREW", "get", "Post", "A", strings.Repeat("LONG", 64)}
	paths := []string{"", "/", "//", "/a", "/a/", "/a/b/c", "/..", "/../api-keys", "/%2e%2e/x", "/%2F", "/%252F", "/%00", "/%ff",
		"/%0d%0aX-Api-Key-Owner:admin", "/ключ", "/\xff", "/a;b", "/a,b", "/*", "/:x", "/{x}", "/v1/api-keys", "/a//b", "/a%2Fb",
		"/" + strings.Repeat("a", 8<<10), strings.Repeat("/a", 1000)}
	for _, path := range paths {
		for _, method := range methods {
			k.Run(fmt.Sprintf("%.20s %.40q", method, path), func(k *kit) {
				ask := func(secret, query string) response {
					return k.do(request{method: method, path: forwardPath + path + query, key: secret, foreign: true})
				}
				ask(secret, "?scope=a").want(200).wantHeader("X-Api-Key-Owner", "team")
				wanted := map[string]int{"?scope=b": 403, "?scope=%zz": 403}
				for query, status := range wanted {
					ask(secret, query).want(status).wantNoIdentity()
				}
				ask("", "").want(401).wantNoIdentity()
				ask(mistyped(secret), "?scope=a").want(401).wantNoIdentity()
			})
		}
	}
	for _, path := range []string{"/v1/forward-authX", "/v1/forward-auth%2F", "/v1//forward-auth", "/V1/forward-auth",
		"/v1/Forward-Auth", "/forward-auth", "/v1/forward%2Dauth%2F", "/x/v1/forward-auth"} {
		k.do(request{path: path, key: secret, foreign: true}).refused(404, "PATH_NOT_FOUND")
	}
}

func TestForwardAuthIgnoresBodies(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := k.add("team", "client").Secret
	for name, body := range map[string]string{
		"JSON": `{"scope":"other"}`, "a form": "scope=other&scope=%zz", "junk": "\x00\xff", "100 KB": strings.Repeat("[", 100<<10),
	} {
		for _, contentType := range []http.Header{
			{"Content-Type": nil}, {"Content-Type": {"application/json"}}, formHeader, {"Content-Type": {"a", "b"}},
			{"Content-Type": {"multipart/form-data; boundary=x"}},
		} {
			for _, chunked := range []bool{false, true} {
				for _, method := range []string{"GET", "POST", "DELETE", "BREW"} {
					k.Run(fmt.Sprint(name, contentType, chunked, method), func(k *kit) {
						k.do(request{method: method, path: forwardPath, key: secret, foreign: true,
							header: contentType, body: body, chunked: chunked}).want(200)
					})
				}
			}
		}
	}
}

func TestForwardAuthRateLimit(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	limited := k.mustCreate(k.admin, fields{"name": "limited", "owner": "team", "scopes": []string{"a"},
		"rate_limit": fields{"limit": 3, "window_seconds": 60}})
	want := func(answer response, policy, left, wait string) {
		k.Helper()
		answer.wantHeader("RateLimit-Policy", policy)
		answer.wantHeader("RateLimit", left)
		answer.wantHeader("Retry-After", wait)
	}
	const policy = `"key";q=3;w=60`
	for _, refused := range []string{"?scope=b", "?scope=", "?scope=%zz"} {
		want(k.forward(limited.Secret, refused).want(403), "", "", "") // uses nothing up, and tells nothing
	}
	for _, left := range []string{`"key";r=2;t=20`, `"key";r=1;t=40`, `"key";r=0;t=60`} {
		answer := k.do(request{path: forwardPath + "?scope=a", key: limited.Secret}).want(200)
		want(answer, policy, left, "")
	}
	for _, tt := range []struct {
		query  string
		status int
	}{
		{"", 403},
		{"?rate_limited=403", 403},
		{"?rate_limited=429", 429},
		{"?rate_limited=%34%32%39", 429},
		{"?rate%5Flimited=429", 429},
		{"?scope=a&rate_limited=429&x=y", 429},
		{"?rate_limited=", 403},
		{"?rate_limited", 403},
		{"?rate_limited=430", 403},
		{"?rate_limited=200", 403},
		{"?rate_limited=0429", 403},
		{"?rate_limited=429%", 403},
		{"?rate_limited=%20429", 403},
		{"?Rate_Limited=429", 403},
	} {
		k.Run(tt.query, func(k *kit) {
			for _, method := range []string{"GET", "POST", "HEAD"} {
				answer := k.do(request{method: method, path: forwardPath + tt.query, key: limited.Secret, foreign: true}).want(tt.status)
				if method != "HEAD" {
					answer.refused(tt.status, "RATE_LIMITED")
				}
				answer.wantNoIdentity()
				answer.wantHeader("WWW-Authenticate", "")
				want(answer, policy, `"key";r=0;t=60`, "20")
			}
		})
	}
	answer := k.forward(limited.Secret, "?scope=b&rate_limited=429") // a scope comes first
	answer.refused(403, "INSUFFICIENT_SCOPE")
	want(answer, "", "", "")
	k.clock.Advance(19*time.Second + time.Millisecond)
	want(k.forward(limited.Secret, "").want(403), policy, `"key";r=0;t=41`, "1") // rounded up
	k.clock.Advance(999 * time.Millisecond)
	want(k.forward(limited.Secret, "").want(200), policy, `"key";r=0;t=60`, "")
	want(k.forward(k.admin.Secret, "").want(200), "", "", "") // it has no limit
	k.revoke(k.admin, keyPath(limited.ID)).want(200)
	want(k.forward(limited.Secret, ""), "", "", "")
}

// The log has refusals, with the key, but not successes.
func TestForwardAuthLog(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	good := k.add("team", "good", "a")
	verifier := k.add("gateway", "verifier", apikey.ScopeVerify)
	for name, tt := range map[string]struct {
		answer response
		want   []string // nil means no line
	}{
		"admitted":           {k.forward(good.Secret, "?scope=a"), nil},
		"admitted, by POST":  {k.do(request{method: "POST", path: forwardPath + "/x", key: good.Secret, foreign: true}), nil},
		"verified":           {k.ask(verifier, good.Secret), nil},
		"verified, not good": {k.ask(verifier, mistyped(good.Secret)), nil},
		"introspected":       {k.introspect(verifier, good.Secret), nil},
		"a scope that lacks": {k.forward(good.Secret, "?scope=hidden-b"), []string{"status=403", "key=" + good.ID, "owner=team", "INSUFFICIENT_SCOPE"}},
		"a malformed scope":  {k.forward(good.Secret, "?scope="), []string{"status=403", "key=" + good.ID, "code=FORBIDDEN"}},
		"no key":             {k.forward("", "/x?token=hidden"), []string{"status=401", "path=/v1/forward-auth/x ", "CREDENTIAL_MISSING"}},
		"a bad key":          {k.forward(mistyped(good.Secret), ""), []string{"status=401", "CREDENTIAL_INVALID"}},
		"a bad question":     {k.do(request{method: "POST", path: verifyPath, key: verifier.Secret, body: `{}`}), []string{"status=400", "key=" + verifier.ID}},
		"no right to ask":    {k.ask(good, good.Secret), []string{"status=403", "key=" + good.ID}},
		"a rotation":         {k.rotate(k.admin, keyPath(verifier.ID), nil), []string{"status=200", "method=POST", "/rotate ", "key=" + k.admin.ID}},
	} {
		k.Run(name, func(k *kit) {
			lines := k.logged(tt.answer.header.Get("X-Request-Id"))
			if len(lines) != min(len(tt.want), 1) {
				k.Fatalf("logged %q", lines)
			}
			for _, want := range tt.want {
				if !strings.Contains(lines[0], want) {
					k.Errorf("no %q in %s", want, lines[0])
				}
			}
		})
	}
	if strings.Contains(k.log.String(), "token=hidden") {
		k.Errorf("the log holds a query:\n%s", k.log)
	}
}
