package handlers_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"apikeyd/gen"
)

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "a/b"})
	k.mustCreate(k.admin, fields{"name": "a"})
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v2/api-keys", "/api-keys", "/v1/api-key", "/v1/api-keysX", "/V1/api-keys",
		"/v1/api-keys/", "/v1/api-keys//", "/v1/api-keys/a/", "/v1/api-keys/a/b", "/v1//api-keys",
		"/v1/api-keys/../api-keys", "/v1/../v1/api-keys", "/v1%2Fapi-keys", "/v1/api-keys%2Fa",
		"/favicon.ico", "/.env", "/healthz/", "/" + strings.Repeat("a", 8<<10), "/%00", "/%ff", "/\xff",
	} {
		k.Run(request{path: path}.String(), func(k *kit) {
			for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"} {
				for _, secret := range []string{"", k.admin.Secret} {
					answer := k.do(request{method: method, path: path, key: secret, body: `{}`}).want(404)
					if method != "HEAD" {
						answer.refused(404, "PATH_NOT_FOUND")
					}
				}
			}
		})
	}
}

// Many generated clients write the / of a name into the path as it is.
func TestUnknownPathsBelowKeysExplainNames(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	created := k.mustCreate(k.admin, fields{"name": "a/b"})
	for path, hint := range map[string]bool{
		keysPath + "/a/b": true, keysPath + "/a/b/rotate": true, keysPath + "/a/": true, keysPath + "//": true,
		keysPath + "X": false, "/v1/api-key/a/b": false, "/v1": false,
	} {
		message := k.get(k.admin, path).refused(404, "PATH_NOT_FOUND").Message
		if explained := strings.Contains(message, "percent-encode") && strings.Contains(message, "/ is %2F") &&
			strings.Contains(message, "id, which always works"); explained != hint {
			k.Errorf("%s: the message is %q, want the hint: %t", path, message, hint)
		}
	}
	for _, path := range []string{keysPath + "/a%2Fb", keysPath + "/" + created.ID} {
		if got := k.get(k.admin, path).want(200).key().ID; got != created.ID {
			k.Errorf("%s finds %s", path, got)
		}
	}
}

func TestUnknownMethods(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, nil)
	contract, err := gen.GetSpec()
	k.must(err)
	taken := map[string][]string{"/healthz": {"GET", "HEAD"}, "/readyz": {"GET", "HEAD"}}
	for path, item := range contract.Paths.Map() {
		if path == "/v1/forward-auth" {
			continue // it accepts all methods
		}
		path = strings.ReplaceAll(path, "{key_name}", target.ID)
		for method := range item.Operations() {
			taken[path] = append(taken[path], method)
		}
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW", "get", "Delete"}
	for path, takes := range taken {
		for _, method := range methods {
			if slices.Contains(takes, method) {
				continue
			}
			k.Run(method+" "+path, func(k *kit) {
				for _, secret := range []string{"", k.admin.Secret} {
					answer := k.do(request{method: method, path: path, key: secret}).want(405)
					answer.wantAllow(takes)
					if method != "HEAD" {
						answer.refused(405, "METHOD_NOT_ALLOWED")
					}
				}
			})
		}
		k.Run("OPTIONS "+path, func(k *kit) {
			k.do(request{method: "OPTIONS", path: path}).want(204).wantAllow(takes)
		})
	}
	if got := k.get(k.admin, keyPath(target.ID)).want(200).key().Status; got != "ACTIVE" {
		k.Errorf("the key is %s: a refused request revoked it", got)
	}
}

func (r response) wantAllow(methods []string) {
	r.k.Helper()
	want := append([]string{http.MethodOptions}, methods...)
	got := strings.Split(r.header.Get("Allow"), ", ")
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		r.k.Errorf("%s: Allow is %v, want %v", r.request, got, want)
	}
}

func TestMethodCannotBeOverridden(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, nil)
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		header := http.Header{}
		header.Set(name, "DELETE")
		got := k.do(request{path: keyPath(target.ID), key: k.admin.Secret, header: header}).want(200).key()
		if got.Status != "ACTIVE" {
			k.Errorf("%s revoked the key", name)
		}
	}
}

func TestRequestIDIsOurs(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const theirs = "0123456789-from-the-caller"
	seen := map[string]bool{theirs: true}
	for range 10 {
		answer := k.do(request{path: keysPath, key: k.admin.Secret, header: http.Header{"X-Request-Id": {theirs}}})
		id := answer.want(200).header.Get("X-Request-Id")
		if seen[id] {
			k.Errorf("the id %s came before", id)
		}
		seen[id] = true
	}
	refused := k.do(request{path: keysPath, header: http.Header{"X-Request-Id": {theirs}}})
	if id := refused.refused(401, "").RequestID; !strings.Contains(k.log.String(), "request_id="+id) {
		k.Errorf("the log does not know %s:\n%s", id, k.log)
	}
	if strings.Contains(k.log.String(), theirs) {
		k.Errorf("the log has the caller's id:\n%s", k.log)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := string(k.do(request{path: path}).want(200).raw); strings.TrimSpace(got) != `{"status":"ok"}` {
			k.Errorf("%s answers %s", path, got)
		}
		k.do(request{method: "HEAD", path: path}).want(200)
	}
}

// The log has a line for every change and every refusal, and no others.
func TestLog(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := []struct {
		name   string
		answer func() response
		want   []string // parts of the one line; nil means no line
	}{
		{"a change", func() response { return k.create(k.admin, fields{"name": "n"}).want(201) },
			[]string{"level=INFO", "method=POST", "path=/v1/api-keys ", "status=201", "key=" + k.admin.ID, "owner=admin"}},
		{"a read", func() response { return k.get(k.admin, keyPath("n")).want(200) }, nil},
		{"a probe", func() response { return k.do(request{path: "/readyz"}).want(200) }, nil},
		{"no credentials", func() response { return k.get(key{}, keysPath) },
			[]string{"level=INFO", "status=401", "code="}},
		{"a scope that lacks", func() response { return k.get(k.add("team", "none"), keysPath) },
			[]string{"status=403", "owner=team", "keys:read"}},
		{"invalid", func() response { return k.create(k.admin, fields{"name": ""}) },
			[]string{"status=400", "name must be"}},
		{"unknown path, with its query", func() response { return k.get(k.admin, "/nowhere?token=hidden") },
			[]string{"status=404", "path=/nowhere "}},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			id := tt.answer().header.Get("X-Request-Id")
			lines := k.logged(id)
			if tt.want == nil {
				if len(lines) > 0 {
					k.Errorf("logged %q", lines)
				}
				return
			}
			if len(lines) != 1 {
				k.Fatalf("logged %d lines: %q", len(lines), lines)
			}
			for _, want := range tt.want {
				if !strings.Contains(lines[0], want) {
					k.Errorf("no %q in %q", want, lines[0])
				}
			}
		})
	}
	if strings.Contains(k.log.String(), "hidden") {
		k.Errorf("the log holds a query:\n%s", k.log)
	}
}

// logged returns the lines about one exchange.
func (k *kit) logged(requestID string) []string {
	var lines []string
	for line := range strings.Lines(k.log.String()) {
		if strings.Contains(line, requestID) {
			lines = append(lines, line)
		}
	}
	return lines
}
