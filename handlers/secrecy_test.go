package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"apikeyd/apikey"
)

// TestSecretsStaySecret puts secrets into every part of a request. The kit searches every answer and, at the end,
// the log; this test searches metrics and traces.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	seen := &observed{}
	k := newKit(t, seen.by(t))
	defer seen.nothingSecret(k)
	stored := k.mustCreate(k.admin, fields{"name": "stored"}).Secret
	expired := k.mustCreate(k.admin, fields{"name": "expired", "expires_at": k.in(1e6)}).Secret
	k.clock.Advance(1e6)
	revoked := k.mustCreate(k.admin, fields{"name": "revoked"})
	k.revoke(revoked, keyPath("revoked")).want(200)
	unknown := apikey.NewSecret("my_prod_2", apikey.NewID()).Reveal()
	k.secrets.add(unknown)

	for name, secret := range map[string]string{
		"admin":          k.admin.Secret,
		"stored":         stored,
		"expired":        expired,
		"revoked":        revoked.Secret,
		"unknown":        unknown,
		"wrong checksum": mistyped(stored),
	} {
		for _, by := range []string{"", stored, secret} {
			k.Run(name, func(k *kit) {
				k.inPaths(by, secret)
				k.inHeaders(by, secret)
				k.inQuestions(by, secret)
				if _, err := apikey.ParseSecret(secret); err == nil { // else it is a valid name
					k.inBodies(by, secret)
				}
			})
		}
	}
	log := k.log.String()
	for _, want := range []string{"status=400", "status=401", "status=404", "status=405", "status=429", "[redacted]"} {
		if !strings.Contains(log, want) {
			k.Errorf("no %q in the log: what was it searched for?", want)
		}
	}
}

// Text with a secret is refused. Text with a damaged secret is stored and shown to its owner, but never
// logged, nor shown to other owners.
func TestSecretAmongWords(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	among := "my key is " + secret + "!"
	k.create(k.admin, fields{"name": among}).invalid("name")
	k.create(k.admin, fields{"owner": among}).invalid("owner")
	k.create(k.admin, fields{"scopes": []string{"x-" + secret}}).invalid("scopes")
	k.create(k.admin, fields{"metadata": fields{"note": among}}).invalid("metadata")
	k.patch(k.admin, keyPath("admin"), fields{"metadata": fields{"note": among}}).invalid("metadata")

	damaged := secret[:len(secret)-1] + "-"
	careless := k.add("my key is "+damaged, "careless", "keys:read", "keys:write")
	k.create(careless, fields{"name": "it is " + damaged}).want(201)
	k.patch(careless, keyPath("it is "+damaged), fields{"name": "it was " + damaged}).want(200)
	k.get(careless, keyPath("my "+damaged)).refused(404, "KEY_NOT_FOUND")
	k.get(careless, keysPath+"/"+percent(percent(damaged))).refused(404, "KEY_NOT_FOUND")
	denied := k.create(careless, fields{"scopes": []string{"x-" + damaged}}).refused(403, "FORBIDDEN")
	if strings.Contains(denied.Message, randomPart(secret)) {
		k.Errorf("the refusal repeats the secret: %s", denied.Message)
	}
	lacking := k.do(request{path: forwardPath + "?scope=x-" + damaged, key: careless.Secret})
	lacking.refused(403, "INSUFFICIENT_SCOPE")
	if text := fmt.Sprint(lacking.header) + string(lacking.raw); strings.Contains(text, randomPart(secret)) {
		k.Errorf("the refusal repeats the secret: %s", text)
	}
	k.report(careless.Secret).thanked()
	if strings.Contains(k.log.String(), randomPart(secret)) {
		k.Errorf("the log holds the secret:\n%s", k.log)
	}
	if !strings.Contains(k.log.String(), `owner="my key is [redacted]-"`) {
		k.Errorf("the log does not name the owner:\n%s", k.log)
	}
}

func (k *kit) inPaths(by, secret string) {
	k.Helper()
	for _, path := range []string{
		keyPath(secret),
		keysPath + "/" + percent(secret),
		keyPath("my key is " + secret + "!"),
		keyPath(secret) + "/more",
		"/" + secret,
		"/v1/" + secret + "/api-keys",
		"/%25zz/" + percent(percent(secret)),
		keysPath + "?" + secret,
		keysPath + "?" + secret + "=1",
		keysPath + "?" + percent(secret) + "=1",
		keysPath + "?a=1&" + secret + "[]=1&" + secret + "[]=2",
		keysPath + "?key=" + secret,
		keysPath + "?page=" + secret,
		keysPath + "?items_per_page=1" + secret,
		keysPath + "?owner=" + secret,
		keysPath + "?owner=" + percent(secret),
		keysPath + "?" + secret + "=%zz",
		keysPath + "?" + secret + ";" + secret,
		"/healthz?" + secret,
		"/readyz?" + secret,
	} {
		for _, method := range []string{"GET", "DELETE", "PUT"} {
			k.do(request{method: method, path: path, key: by})
		}
	}
	k.do(request{method: secret, path: keysPath, key: by})
	k.do(request{path: keysPath + "/%zz" + secret, key: by, outside: true})
}

func (k *kit) inBodies(by, secret string) {
	k.Helper()
	text := fields{"s": secret}.json()
	for _, body := range []string{
		secret,
		`"` + secret + `"`,
		`{"name":` + secret + `}`,
		`{"name":"` + secret + `","name":"` + secret + `"}`,
		`{"` + secret + `":1,"` + secret + `":2}`,
		text, text + text,
		fields{secret: 1}.json(),
		fields{secret: fields{secret: secret}}.json(),
		fields{"my " + secret + " and more": 1}.json(),
		fields{"name": secret}.json(),
		fields{"name": []string{secret}}.json(),
		fields{"name": fields{secret: 1}}.json(),
		fields{"name": "n", "expires_at": secret}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "owner": secret}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "scopes": secret}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "scopes": []string{secret}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "scopes": []string{secret, secret}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "scopes": []string{secret + strings.Repeat("s", 100)}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "metadata": secret}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "metadata": fields{"n": secret}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "metadata": fields{"n": "it is " + secret}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "metadata": fields{secret: "v"}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "metadata": fields{secret: 1, "my " + secret: fields{secret: secret}}}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "rate_limit": secret}.json(),
		fields{"name": "n", "expires_at": k.in(1e9), "rate_limit": fields{"limit": secret, secret: 1}}.json(),
		fields{"grace_seconds": secret}.json(),
		fields{"key": fields{secret: secret}}.json(),
		fields{"key": "s", "scopes": []string{secret, secret}}.json(),
		fields{"key": "s", secret: secret}.json(),
	} {
		k.do(request{method: "POST", path: keysPath, key: by, body: body})
		k.do(request{method: "PATCH", path: keyPath("stored"), key: by, body: body})
		k.do(request{method: "POST", path: keyPath("unknown") + "/rotate", key: by, body: body})
		k.do(request{method: "POST", path: verifyPath, key: by, body: body})
		k.do(request{method: "POST", path: leaksPath, key: by, body: body, foreign: true})
	}
}

// inQuestions sends a secret wherever a request may hold one, and wherever it may not. It does not report the
// whole secret, which would end it.
func (k *kit) inQuestions(by, secret string) {
	k.Helper()
	who := key{Secret: by}
	k.ask(who, secret)
	k.ask(who, secret+"x")
	k.ask(who, secret, "x")
	k.ask(who, k.admin.Secret, "x-"+secret)
	k.ask(who, k.admin.Secret, secret, secret)
	k.introspect(who, secret)
	k.introspect(who, "x"+secret)
	for _, form := range []string{
		secret, secret + "=1&" + secret + "=2", "token=" + secret + "&token=" + secret, "token=x&token_type_hint=" + secret,
		"token=%zz" + secret, "token=x;" + secret, secret + "[" + secret + "]=" + secret,
	} {
		k.do(request{method: "POST", path: introspectPath, key: by, header: formHeader, body: form, foreign: true})
	}
	k.do(request{method: "POST", path: introspectPath, body: "token=" + secret, foreign: true,
		header: http.Header{"Content-Type": formHeader["Content-Type"], "Authorization": {basic(secret, percent(secret))}}})
	for _, almost := range []string{"my key is " + secret, secret + "\n", secret[:len(secret)-1], percent(secret)} {
		k.report(almost)
	}
	for _, rest := range []string{
		"?scope=" + secret, "?scope=" + percent(secret), "?scope=x-" + secret, "?scope=a+" + secret + "&scope=%zz", "?" + secret + "=1",
		"?rate_limited=" + secret, "?x=" + secret, "/" + secret, "/" + percent(percent(secret)), "/a/" + secret + "?scope=" + secret,
	} {
		for _, method := range []string{"GET", "POST", secret} {
			k.do(request{method: method, path: forwardPath + rest, key: by, foreign: true})
		}
	}
	for _, query := range []string{"status", "name_contains", "scope", "metadata", "metadata=n", "search", "cursor", "expires_before", "last_used_before"} {
		k.do(request{path: keysPath + "?" + query + "=" + secret, key: by})
		k.do(request{path: keysPath + "?" + query + "=" + secret + "&" + query + "=" + secret, key: by})
	}
	k.do(request{method: "POST", path: keyPath(secret) + "/rotate", key: by})
	k.do(request{method: "POST", path: keyPath("unknown") + "/rotate?" + secret, key: by})
}

func (k *kit) inHeaders(by, secret string) {
	k.Helper()
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Content-Type", "User-Agent", "Referer", "Cookie", "Accept",
		"X-Request-Id", "X-Forwarded-For", "X-Real-Ip", "Forwarded", "Traceparent", "Origin", "Range", secret,
	} {
		for _, value := range []string{secret, "Bearer " + secret, "Basic " + secret, "a=" + secret} {
			header := http.Header{name: {value}}
			k.do(request{path: keysPath, key: by, header: header})
			k.do(request{method: "POST", path: keysPath, key: by, header: header, body: `{}`})
		}
	}
	for _, value := range []string{secret + "," + secret, secret + "x", "x" + secret, secret[1:], " " + secret} {
		k.do(request{path: keysPath, header: http.Header{"X-Api-Key": {value}}})
	}
}
