//go:build full

package gateways_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

// TestGateways runs the same cases against each gateway.
func TestGateways(t *testing.T) {
	t.Parallel()
	p := readPage(t)
	for name, said := range p.said {
		g, known := gateways[name]
		if known != said.run {
			t.Errorf("the page says %t of running %s in tests", said.run, name)
		}
		if !known {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, g, p)
			k.Run("good keys pass", goodKeysPass)
			k.Run("identity", identityIsTold)
			k.Run("forged identity", forgedIdentityIsDropped)
			k.Run("identity cannot be taken away", identityCannotBeTakenAway)
			k.Run("bad keys are refused", badKeysAreRefused)
			k.Run("rate limit", func(k *kit) { rateLimitIsKept(k, said.limited) })
			k.Run("networks", networksAreChecked)
			k.Run("clients that try keys", triersAreSlowedDown)
			k.Run("revocation", revocationIsInForce)
			k.Run("paths", unclearPathsAreRefused)
			k.Run("questions", questionsAreTheGateways)
			k.Run("apikeyd fails", func(k *kit) { failureCloses(k, failing, said.unavailable) })
			k.Run("apikeyd hangs", func(k *kit) { failureCloses(k, hanging, said.hanging) })
			k.Run("apikeyd stopped", func(k *kit) { stoppedCloses(k, said.stopped) })
		})
		for _, b := range g.broken {
			t.Run(name+" with "+b.name, func(t *testing.T) {
				t.Parallel()
				k := newKit(t, g, p, b.old, b.new)
				reader := k.reader("reader")
				k.refused(request{path: "/reports/1", header: with(reader.Secret)}, b.status)
				k.passes(request{path: "/profile/1", header: with(reader.Secret)})
			})
		}
	}
	for name := range gateways {
		if _, there := p.said[name]; !there {
			t.Errorf("the page's table lacks %s", name)
		}
	}
}

// triersAreSlowedDown checks that failures count for the address that the gateway sees, not for an
// invented one.
func triersAreSlowedDown(k *kit) {
	reader := k.reader("among bad ones")
	invented := func(secret string, i int) http.Header {
		header := with(secret)
		address := fmt.Sprintf("192.0.2.%d", i)
		header["X-Forwarded-For"], header["Forwarded"] = []string{address}, []string{"for=" + address}
		return header
	}
	for i := range mostFailures + 1 {
		a := k.send(request{path: "/reports/1", header: invented("ak_notakey", i)})
		switch {
		case len(a.reached) != 0:
			k.Fatal("a bad key reached the upstream")
		case a.StatusCode == http.StatusUnauthorized && i < mostFailures:
			continue
		case a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "":
			k.Fatalf("bad key %d: status %d, Retry-After %q", i, a.StatusCode, a.Header.Get("Retry-After"))
		}
		break
	}
	k.passes(request{path: "/reports/1", header: invented(reader.Secret, 1)})
	k.clock.Advance(time.Minute)
	k.refused(request{path: "/reports/1", header: with("ak_notakey")}, http.StatusUnauthorized)
}

func goodKeysPass(k *kit) {
	reader := k.reader("passes")
	clerk := k.key(fields{"name": "clerk", "scopes": []string{"invoices:write", "invoices:read", "other"}})
	for name, r := range map[string]request{
		"x-api-key":      {path: "/reports/1", header: with(reader.Secret)},
		"bearer":         {path: "/reports/1", header: http.Header{"Authorization": {"Bearer " + reader.Secret}}},
		"lower case":     {path: "/reports/1", header: http.Header{"authorization": {"bearer " + reader.Secret}}},
		"the key twice":  {path: "/reports/1", header: http.Header{"X-Api-Key": {reader.Secret, reader.Secret}}},
		"two scopes":     {path: "/invoices/1", header: with(clerk.Secret)},
		"any scope":      {path: "/profile/1", header: with(clerk.Secret)},
		"query":          {path: "/reports/1?a=%2Fb&c=d%20e", header: with(reader.Secret)},
		"scope in query": {path: "/reports/1?scope=&scope=other&rate_limited=1", header: with(reader.Secret)},
		"encoded path":   {path: "/reports/a%20b", header: with(reader.Secret)},
		"head":           {method: "HEAD", path: "/reports/1", header: with(reader.Secret)},
		"delete":         {method: "DELETE", path: "/reports/1", header: with(reader.Secret)},
		"body":           {method: "POST", path: "/reports/1", header: with(reader.Secret), body: strings.NewReader("a body")},
		"chunked body": {method: "PUT", path: "/reports/1", header: with(reader.Secret),
			body: io.MultiReader(strings.NewReader("a "), strings.NewReader("body"))},
	} {
		k.Run(name, func(k *kit) {
			got := k.passes(r)
			if wanted := max(r.method, "GET"); got.method != wanted && r.method != "DELETE" {
				k.Errorf("method %s, want %s", got.method, wanted)
			}
			if got.uri != r.path {
				k.Errorf("URI %s, want %s", got.uri, r.path)
			}
			if r.body != nil && got.body != "a body" {
				k.Errorf("body %q", got.body)
			}
			for _, values := range got.header {
				if likeSecret.MatchString(strings.Join(values, "\n")) {
					k.Error("the upstream sees a secret")
				}
			}
		})
	}
}

// variables returns everything that an upstream must see about a key.
func (k key) variables() map[string][]string {
	return map[string][]string{
		"X_API_KEY_ID":     {k.ID},
		"X_API_KEY_NAME":   {url.PathEscape(k.Name)},
		"X_API_KEY_OWNER":  {url.PathEscape(k.Owner)},
		"X_API_KEY_SCOPES": {strings.Join(k.Scopes, " ")},
	}
}

func (k *kit) wantIdentity(of key, got received) {
	k.Helper()
	seen := map[string][]string{}
	for variable, values := range got.folded() {
		if strings.HasPrefix(variable, "X_API_KEY") || variable == "AUTHORIZATION" {
			seen[variable] = values
		}
	}
	if len(of.Scopes) == 0 && seen["X_API_KEY_SCOPES"] == nil {
		seen["X_API_KEY_SCOPES"] = []string{""} // nginx sends no empty headers
	}
	if diff := cmp.Diff(of.variables(), seen); diff != "" {
		k.Errorf("what the upstream sees of the key (-want +got):\n%s", diff)
	}
}

func identityIsTold(k *kit) {
	for _, f := range []fields{
		{"name": "plain", "scopes": []string{"reports:read"}},
		{"name": "many", "scopes": []string{"reports:read", "invoices:read", "a%20b", "x"}},
		{"name": "none", "scopes": []string{}},
		{"name": "Zoë's key: 100% \"a+b\", a/b; c=d", "owner": "Müller & Söhne\u2028株式会社 🗝", "scopes": []string{"x"}},
	} {
		created := k.key(f)
		k.wantIdentity(created, k.passes(request{path: "/profile/1", header: with(created.Secret)}))
	}
}

// separators are the characters other than the dash that are valid in a header's name and become "_".
const separators = "_.!#$%&'*+^`|~"

func forgedIdentityIsDropped(k *kit) {
	victim := k.reader("forged")
	bare := k.key(fields{"name": "bare", "scopes": []string{}})
	var forgeries []http.Header
	for _, last := range []string{"Id", "Name", "Owner", "Scopes"} {
		for _, c := range separators {
			s := string(c)
			forgeries = append(forgeries,
				http.Header{"X" + s + "Api" + s + "Key" + s + last: {"forged"}},
				http.Header{"X" + s + "Api-Key-" + last: {"forged"}},
				http.Header{"X-Api" + s + "Key-" + last: {"forged"}},
				http.Header{"X-Api-Key" + s + last: {"forged"}, "x" + s + "api-key" + s + last: {"forged", "twice"}},
			)
		}
		forgeries = append(forgeries,
			http.Header{"X-Api-Key-" + last: {"forged"}},
			http.Header{"X-Api-Key-" + last: {"forged", "twice"}},
			http.Header{"X-Api-Key-" + last: {""}},
			http.Header{"X-Api-Key-" + last: {"one"}, strings.ToUpper("X-Api-Key-" + last): {"two"},
				strings.ToLower("X-Api-Key-" + last): {"three"}, "x-aPI-kEY-" + last: {"four"}},
		)
	}
	for _, forged := range forgeries {
		for _, real := range []key{victim, bare} {
			header := with(real.Secret)
			for name, values := range forged {
				header[name] = values
			}
			header["Kept"] = []string{"yes"}
			got := k.passes(request{path: "/profile/1", header: header})
			k.wantIdentity(real, got)
			if got.header.Get("Kept") != "yes" {
				k.Error("other headers do not pass")
			}
			if k.Failed() {
				k.Fatalf("the client sent %v", forged)
			}
		}
	}
}

// A Connection header names headers that a proxy must not forward.
func identityCannotBeTakenAway(k *kit) {
	real := k.reader("stays")
	for _, value := range []string{"X-Api-Key-Owner", "keep-alive, x-api-key-owner,X-API-KEY-SCOPES", "close, x-api-key-id"} {
		header := with(real.Secret)
		header.Set("Connection", value)
		a := k.send(request{path: "/reports/1", header: header})
		switch {
		case a.StatusCode == http.StatusBadRequest && len(a.reached) == 0:
		case a.StatusCode == http.StatusOK && len(a.reached) == 1:
			k.wantIdentity(real, a.reached[0])
			if named := a.reached[0].header.Get("Connection"); strings.Contains(strings.ToLower(named), "x-api-key") {
				k.Errorf("Connection: %s reaches the upstream", named)
			}
		default:
			k.Errorf("Connection: %s: status %d, reached the upstream %d times", value, a.StatusCode, len(a.reached))
		}
	}
}

func badKeysAreRefused(k *kit) {
	reader, revoked, other := k.reader("good"), k.reader("revoked"), k.reader("another")
	k.revoke(revoked)
	expired := k.key(fields{"name": "expired", "scopes": []string{"reports:read"},
		"expires_at": k.clock.Now().Add(time.Second).Format("2006-01-02T15:04:05Z07:00")})
	k.clock.Advance(2 * time.Second)
	half := k.key(fields{"name": "half", "scopes": []string{"invoices:read"}})
	_, unknown, err := apikey.Policy{}.NewKey(k.clock.Now(), apikey.Settings{
		Owner: "nobody", Name: "unknown", ExpiresAt: k.clock.Now().AddDate(1, 0, 0)})
	must(k, err)
	for name, row := range map[string]struct {
		path   string
		header http.Header
		want   int
	}{
		"missing":             {"/reports/1", nil, 401},
		"missing, any scope":  {"/profile/1", nil, 401},
		"empty":               {"/reports/1", with(""), 401},
		"malformed":           {"/reports/1", with("ak_notakey"), 401},
		"not even text":       {"/reports/1", with("\xff\xfe"), 401},
		"unknown":             {"/reports/1", with(unknown.Reveal()), 401},
		"revoked":             {"/reports/1", with(revoked.Secret), 401},
		"revoked, any scope":  {"/profile/1", with(revoked.Secret), 401},
		"expired":             {"/reports/1", with(expired.Secret), 401},
		"another scheme":      {"/reports/1", http.Header{"Authorization": {"Basic " + reader.Secret}}, 401},
		"two keys":            {"/reports/1", http.Header{"X-Api-Key": {reader.Secret, other.Secret}}, 401},
		"two keys, two ways":  {"/reports/1", http.Header{"X-Api-Key": {reader.Secret}, "Authorization": {"Bearer " + other.Secret}}, 401},
		"key by other header": {"/reports/1", http.Header{"X_api_key": {reader.Secret}}, 401},
		"key in the query":    {"/reports/1?x-api-key=" + reader.Secret, nil, 401},
		"wrong scope":         {"/reports/1", with(half.Secret), 403},
		"one scope of two":    {"/invoices/1", with(half.Secret), 403},
		"claimed scope":       {"/reports/1", http.Header{"X-Api-Key": {half.Secret}, "X-Api-Key-Scopes": {"reports:read"}}, 403},
		"operator's key":      {"/reports/1", with(k.admin), 403}, // keys:admin is not a scope of the API
		"no such route":       {"/elsewhere", with(reader.Secret), 404},
		"the question itself": {"/_apikeyd", with(reader.Secret), 404},
		"root":                {"/", with(reader.Secret), 404},
	} {
		k.Run(name, func(k *kit) {
			a := k.refused(request{path: row.path, header: row.header}, row.want)
			if challenge := a.Header.Get("WWW-Authenticate"); row.want == 401 && !strings.HasPrefix(challenge, "Bearer ") {
				k.Errorf("WWW-Authenticate: %q", challenge)
			}
			if row.want != 404 && !strings.Contains(a.body, fmt.Sprintf(`"status": %d`, row.want)) &&
				!strings.Contains(a.body, fmt.Sprintf(`"status":%d`, row.want)) {
				k.Errorf("the body is %q", a.body)
			}
		})
	}
}

func rateLimitIsKept(k *kit, want int) {
	limited := k.key(fields{"name": "limited", "scopes": []string{"reports:read"},
		"rate_limit": fields{"limit": 2, "window_seconds": 60}})
	r := request{path: "/reports/1", header: with(limited.Secret)}
	for range 2 {
		k.wantIdentity(limited, k.passes(r))
	}
	a := k.refused(r, want)
	if after := a.Header.Get("Retry-After"); after != "30" {
		k.Errorf("Retry-After: %q, want 30", after)
	}
	k.clock.Advance(30 * time.Second)
	k.passes(r)
}

func revocationIsInForce(k *kit) {
	key := k.reader("revoked in between")
	r := request{path: "/reports/1", header: with(key.Secret)}
	k.passes(r)
	k.passes(r)
	k.revoke(key)
	k.refused(r, http.StatusUnauthorized)
}

// Paths that servers parse differently, sent with a key that may only read its profile.
func unclearPathsAreRefused(k *kit) {
	bare := k.key(fields{"name": "paths", "scopes": []string{}})
	for _, path := range []string{
		"/profile/../reports/1", "/profile/./x", "/profile//x", "/profile/..", "/profile/.", "/profile/..?a",
		"/profile/%2e%2e/reports/1", "/profile/%2E./reports/1", "/profile/.%2e/reports/1",
		"/profile/..%2freports/1", "/profile/..%2Freports/1", "/profile%2f..%2freports/1", "/profile/x%2f../reports/1",
		`/profile/..\reports/1`, `/profile\..\reports/1`, "/profile/..%5creports/1", "/profile/x%5C..%5c/reports/1",
		"/profile/..;/reports/1", "/profile/..;a=b/reports/1", "/profile/..%3b/reports/1", "/profile/.;/reports/1",
		"/reports/../profile/1",
	} {
		k.refused(request{path: path, header: with(bare.Secret)}, http.StatusBadRequest)
	}
	for _, path := range []string{"/profile/", "/profile/.x", "/profile/..x", "/profile/x..", "/profile/a;b/c",
		"/profile/x?from=/a/../b//c", "/profile/%252e%252e/x"} {
		if got := k.passes(request{path: path, header: with(bare.Secret)}); got.uri != path {
			k.Errorf("the upstream sees %s, want %s", got.uri, path)
		}
	}
}

// The gateway alone determines the question; it has no body and reuses connections.
func questionsAreTheGateways(k *kit) {
	reader := k.reader("asks")
	k.asked.take()
	const times = 20
	for range times {
		k.passes(request{method: "POST", path: "/reports/1?scope=&rate_limited=no&a=b",
			header: with(reader.Secret), body: strings.NewReader("a body")})
	}
	questions := k.asked.take()
	if len(questions) != times {
		k.Fatalf("%d questions for %d requests", len(questions), times)
	}
	var from []string
	for _, q := range questions {
		from = append(from, q.from)
		asked, err := url.ParseRequestURI(q.uri)
		must(k, err)
		if scopes := asked.Query()["scope"]; !slices.Equal(scopes, []string{"reports:read"}) || q.hasBody {
			k.Fatalf("asked %s, body: %t", q.uri, q.hasBody)
		}
	}
	slices.Sort(from)
	if connections := len(slices.Compact(from)); connections > times/2 {
		k.Errorf("%d questions came over %d connections", times, connections)
	}
}

func failureCloses(k *kit, s state, want int) {
	reader := k.reader(fmt.Sprintf("failure %d", s))
	r := request{path: "/reports/1", header: with(reader.Secret)}
	k.asked.become(s)
	k.refused(r, want)
	k.asked.become(answering)
	k.passes(r)
}

func stoppedCloses(k *kit, want int) {
	reader := k.reader("left alone")
	r := request{path: "/reports/1", header: with(reader.Secret)}
	k.passes(r)
	k.service.Stop()
	k.refused(r, want)
	k.refused(request{path: "/profile/1"}, want)
}
