package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"apikeyd/apikey"
)

// TestSecretsStaySecret puts secrets wherever a request has room. The kit looks for
// them in every answer, and at the end in the whole log.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	k := newKit(t)
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
				if _, err := apikey.ParseSecret(secret); err == nil { // else it is as good a name as any
					k.inBodies(by, secret)
				}
			})
		}
	}
	log := k.log.String()
	for _, want := range []string{"status=400", "status=401", "status=404", "status=405", "[redacted]"} {
		if !strings.Contains(log, want) {
			k.Errorf("no %q in the log: what was it searched for?", want)
		}
	}
}

// A name may hold a secret among other words: the answers about that key repeat it,
// the log does not.
func TestSecretInsideOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	careless := k.add("my key is "+secret+"!", "careless", "keys:read", "keys:write")
	k.create(careless, fields{"name": "it is " + secret}).want(201)
	k.patch(careless, keyPath("it is "+secret), fields{"name": "it was " + secret}).want(200)
	k.get(careless, keyPath("my "+secret)).refused(404, "KEY_NOT_FOUND")
	if strings.Contains(k.log.String(), randomPart(secret)) {
		k.Errorf("the log holds the secret:\n%s", k.log)
	}
	if !strings.Contains(k.log.String(), `owner="my key is [redacted]!"`) {
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
	} {
		k.do(request{method: "POST", path: keysPath, key: by, body: body})
		k.do(request{method: "PATCH", path: keyPath("stored"), key: by, body: body})
	}
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
