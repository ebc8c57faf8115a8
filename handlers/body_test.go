package handlers_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	goodEnd  = `"expires_at":"2030-01-31T12:00:00Z"`
	goodBody = `{"name":"n",` + goodEnd + `}`
)

// badBody is a body that both create and update refuse.
type badBody struct{ name, body, field string }

var badBodies = []badBody{
	{"null", `null`, "body"},
	{"array", `[]`, "body"},
	{"array of objects", `[` + goodBody + `]`, "body"},
	{"string", `"name"`, "body"},
	{"number", `1`, "body"},
	{"true", `true`, "body"},
	{"only white space", ` `, "body"},
	{"cut short", `{"name":"n",` + goodEnd, "body"},
	{"not JSON", `name=n`, "body"},
	{"single quotes", `{'name':'n'}`, "body"},
	{"comment", `{/**/` + goodBody[1:], "body"},
	{"trailing comma", `{"name":"n",` + goodEnd + `,}`, "body"},
	{"trailing text", goodBody + `x`, "body"},
	{"trailing object", goodBody + goodBody, "body"},
	{"trailing NUL", goodBody + "\x00", "body"},
	{"byte order mark", "\xef\xbb\xbf" + goodBody, "body"},
	{"UTF-16", "\xff\xfe{\x00}\x00", "body"},
	{"invalid UTF-8 in a value", `{"name":"` + "\xff" + `",` + goodEnd + `}`, "body"},
	{"invalid UTF-8 in a name", `{"name` + "\xc3" + `":"n",` + goodEnd + `}`, "body"},
	{"overlong UTF-8", `{"name":"` + "\xc0\xaf" + `",` + goodEnd + `}`, "body"},
	{"lone surrogate", `{"name":"\ud800",` + goodEnd + `}`, "body"},
	{"raw control character", `{"name":"a` + "\n" + `b",` + goodEnd + `}`, "body"},
	{"number beyond float64", `{"name":1e999,` + goodEnd + `}`, ""},
	{"not a number", `{"name":NaN,` + goodEnd + `}`, "body"},

	{"duplicate property", `{"name":"a","name":"b",` + goodEnd + `}`, "body"},
	{"duplicate property, same value", `{"name":"a","name":"a",` + goodEnd + `}`, "body"},
	{"duplicate property in disguise", `{"name":"a","n\u0061me":"b",` + goodEnd + `}`, "body"},
	{"duplicate property deep inside", `{"name":{"a":1,"a":2},` + goodEnd + `}`, "body"},
	{"wrong-case name", `{"Name":"n",` + goodEnd + `}`, "Name"},
	{"wrong-case name beside the right one", `{"name":"n","NAME":"m",` + goodEnd + `}`, "NAME"},
	{"wrong-case expires_at", `{"name":"n","Expires_At":"2030-01-31T12:00:00Z"}`, "Expires_At"},
	{"expires_at in camel case", `{"name":"n","expiresAt":"2030-01-31T12:00:00Z"}`, "expiresAt"},
	{"extra property", `{"name":"n","colour":"red",` + goodEnd + `}`, "colour"},
	{"extra property null", `{"name":"n","colour":null,` + goodEnd + `}`, "colour"},
	{"extra property without a name", `{"name":"n","":1,` + goodEnd + `}`, ""},
	{"property of answers: id", `{"name":"n","id":"0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f",` + goodEnd + `}`, "id"},
	{"property of answers: status", `{"name":"n","status":"ACTIVE",` + goodEnd + `}`, "status"},
	{"property of answers: secret", `{"name":"n","secret":"s",` + goodEnd + `}`, "secret"},
	{"prototype", `{"name":"n","__proto__":{},` + goodEnd + `}`, "__proto__"},

	{"name is null", `{"name":null,` + goodEnd + `}`, "name"},
	{"name is a number", `{"name":1,` + goodEnd + `}`, "name"},
	{"name is true", `{"name":true,` + goodEnd + `}`, "name"},
	{"name is an array", `{"name":["n"],` + goodEnd + `}`, "name"},
	{"name is an object", `{"name":{"n":1},` + goodEnd + `}`, "name"},
	{"expires_at is null", `{"name":"n","expires_at":null}`, "expires_at"},
	{"expires_at is a number", `{"name":"n","expires_at":1896091200}`, "expires_at"},
	{"expires_at is true", `{"name":"n","expires_at":true}`, "expires_at"},
	{"expires_at is an array", `{"name":"n","expires_at":["2030-01-31T12:00:00Z"]}`, "expires_at"},
	{"expires_at is an object", `{"name":"n","expires_at":{}}`, "expires_at"},
	{"scopes is null", `{"name":"n","scopes":null,` + goodEnd + `}`, "scopes"},
	{"scopes is a string", `{"name":"n","scopes":"keys:read",` + goodEnd + `}`, "scopes"},
	{"scopes is a number", `{"name":"n","scopes":1,` + goodEnd + `}`, "scopes"},
	{"scopes is false", `{"name":"n","scopes":false,` + goodEnd + `}`, "scopes"},
	{"scopes is an object", `{"name":"n","scopes":{"0":"keys:read"},` + goodEnd + `}`, "scopes"},
	{"a scope is null", `{"name":"n","scopes":["keys:read",null],` + goodEnd + `}`, "scopes.1"},
	{"a scope is a number", `{"name":"n","scopes":[1],` + goodEnd + `}`, "scopes.0"},
	{"a scope is an array", `{"name":"n","scopes":[["keys:read"]],` + goodEnd + `}`, "scopes.0"},
	{"a scope is an object", `{"name":"n","scopes":[{}],` + goodEnd + `}`, "scopes.0"},

	{"20 KB of [", strings.Repeat("[", 20<<10), "body"},
	{"64 KB of [", strings.Repeat("[", 64<<10), "body"},
	{"20 KB of arrays", nested("[", "1", "]", 10<<10), "body"},
	{"64 KB of arrays", nested("[", "", "]", 32<<10), "body"},
	{"9,000 arrays as name", `{"name":` + nested("[", "1", "]", 9000) + `,` + goodEnd + `}`, "body"},
	{"9,000 arrays as an extra property", `{"x":` + nested("[", "", "]", 9000) + `}`, "body"},
	{"64 KB of objects", nested(`{"a":`, "1", "}", 10<<10), "body"},
	{"9,000 objects as scopes", `{"scopes":` + nested(`{"a":`, "1", "}", 9000) + `}`, "body"},
	{"arrays and objects", nested(`[{"a":`, "1", "}]", 4000), "body"},
	{"10 arrays as a scope", `{"name":"n","scopes":` + nested("[", "1", "]", 10) + `,` + goodEnd + `}`, "scopes.0"},
	{"64 KB of faulty scopes", `{"scopes":[` + strings.Repeat("1,", 30000) + `1]}`, "body"},
	{"64 KB of one scope", `{"scopes":[` + strings.Repeat(`"a",`, 16000) + `"a"]}`, "body"},
	{"900 faulty scopes", `{"scopes":[` + strings.Repeat("{},", 450) + `1]}`, "scopes"},
	{"900 times one scope", `{"scopes":[` + strings.Repeat(`"a",`, 900) + `"a"]}`, "scopes"},
	{"60 KB of name", `{"name":"` + strings.Repeat("n", 60000) + `",` + goodEnd + `}`, "name"},
	{"60 KB of name of a property", `{"` + strings.Repeat("n-", 30000) + `":1}`, strings.Repeat("n-", 32) + "…"},
	{"64 KB of extra properties", `{` + many(`"%d":1,`, 7000) + `"n":1}`, "body"},
	{"450 extra properties", `{` + many(`"%d":1,`, 450) + `"n":1}`, "0"},
	{"450 extra properties that look alike", `{` + many(`"`+strings.Repeat("n-", 32)+`%d":1,`, 450) + `"n":1}`, "n"},
	{"60 KB of expires_at", `{"expires_at":"` + strings.Repeat("2", 60000) + `"}`, "expires_at"},
}

func nested(open, middle, end string, levels int) string {
	return strings.Repeat(open, levels) + middle + strings.Repeat(end, levels)
}

// many repeats a pattern with consecutive numbers.
func many(pattern string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, pattern, i)
	}
	return b.String()
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, fields{"name": "target"})
	before := k.everything()
	create := request{method: "POST", path: keysPath, key: k.admin.Secret}
	update := request{method: "PATCH", path: keyPath("target"), key: k.admin.Secret}

	for _, tt := range badBodies {
		k.Run("create/"+tt.name, func(k *kit) { k.with(create, tt.body).invalid(tt.field) })
		k.Run("update/"+tt.name, func(k *kit) { k.with(update, tt.body).invalid(tt.field) })
	}
	onlyCreate := []badBody{
		{"empty object", `{}`, "name"},
		{"no name", `{` + goodEnd + `}`, "name"},
		{"no expires_at", `{"name":"n"}`, "expires_at"},
		{"owner is null", `{"name":"n","owner":null,` + goodEnd + `}`, "owner"},
		{"owner is a number", `{"name":"n","owner":1,` + goodEnd + `}`, "owner"},
		{"owner is an array", `{"name":"n","owner":["o"],` + goodEnd + `}`, "owner"},
		{"owner is an object", `{"name":"n","owner":{},` + goodEnd + `}`, "owner"},
	}
	for _, tt := range onlyCreate {
		k.Run("create/"+tt.name, func(k *kit) { k.with(create, tt.body).invalid(tt.field) })
	}
	onlyUpdate := []badBody{
		{"owner", `{"owner":"admin"}`, "owner"},
		{"owner beside a good change", `{"name":"other","owner":"other"}`, "owner"},
	}
	for _, tt := range onlyUpdate {
		k.Run("update/"+tt.name, func(k *kit) { k.with(update, tt.body).invalid(tt.field) })
	}
	k.Run("create/empty", func(k *kit) {
		create.header = http.Header{"Content-Type": {"application/json"}}
		k.with(create, "").invalid("body")
	})
	k.Run("update/empty", func(k *kit) {
		update.header = http.Header{"Content-Type": {"application/json"}}
		k.with(update, "").invalid("body")
	})
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
	if got := k.get(k.admin, keyPath(target.ID)).want(200).key().Name; got != "target" {
		k.Errorf("the key is called %q now", got)
	}
}

// with sends r with another body.
func (k *kit) with(r request, body string) response {
	k.Helper()
	r.body = body
	return k.do(r)
}

func TestContentType(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	tests := []struct {
		name  string
		value []string
		ok    bool
	}{
		{"missing", nil, false},
		{"empty", []string{""}, false},
		{"text", []string{"text/plain"}, false},
		{"form", []string{"application/x-www-form-urlencoded"}, false},
		{"multipart", []string{"multipart/form-data; boundary=x"}, false},
		{"merge patch", []string{"application/merge-patch+json"}, false},
		{"suffix", []string{"application/problem+json"}, false},
		{"begins alike", []string{"application/jsonx"}, false},
		{"wildcard", []string{"application/*"}, false},
		{"only the subtype", []string{"json"}, false},
		{"two in one", []string{"application/json, text/plain"}, false},
		{"the same twice", []string{"application/json", "application/json"}, false},
		{"two different", []string{"application/json", "text/plain"}, false},
		{"charset latin-1", []string{"application/json; charset=iso-8859-1"}, false},
		{"charset UTF-16", []string{"application/json; charset=utf-16"}, false},
		{"broken parameter", []string{"application/json; charset"}, false},
		{"charset twice", []string{"application/json; charset=utf-8; charset=utf-16"}, false},
		{"plain", []string{"application/json"}, true},
		{"in capitals", []string{"Application/JSON"}, true},
		{"charset UTF-8", []string{"application/json; charset=UTF-8"}, true},
		{"quoted charset", []string{`application/json;charset="utf-8"`}, true},
	}
	for i, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			header := http.Header{"Content-Type": tt.value}
			name := fmt.Sprint("key ", i)
			create := k.do(request{method: "POST", path: keysPath, key: k.admin.Secret, header: header,
				body: fields{"name": name, "expires_at": k.in(time.Hour)}.json()})
			update := k.do(request{method: "PATCH", path: keyPath(k.admin.ID), key: k.admin.Secret,
				header: header, body: `{}`})
			if tt.ok {
				create.want(201)
				update.want(200)
				return
			}
			create.invalid("Content-Type")
			update.invalid("Content-Type")
			k.get(k.admin, keyPath(name)).refused(404, "KEY_NOT_FOUND")
		})
	}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const limit = 64 << 10
	padded := func(name string, size int) string {
		body := `{"name":"` + name + `",` + goodEnd + `}`
		return body + strings.Repeat(" ", size-len(body))
	}
	for _, chunked := range []bool{false, true} {
		post := request{method: "POST", path: keysPath, key: k.admin.Secret, chunked: chunked}
		patch := request{method: "PATCH", path: keyPath(k.admin.ID), key: k.admin.Secret, chunked: chunked}
		k.Run(fmt.Sprintf("chunked %t", chunked), func(k *kit) {
			k.with(post, padded(fmt.Sprint("fits ", chunked), limit)).want(201)
			k.with(patch, `{}`+strings.Repeat("\n", limit-2)).want(200)

			k.with(post, padded("one too many", limit+1)).refused(413, "BODY_TOO_LARGE")
			k.with(patch, `{"name":"too many"}`+strings.Repeat("\n", limit)).refused(413, "BODY_TOO_LARGE")
			k.with(post, `{"name":"`+strings.Repeat("n", limit)+`"}`).refused(413, "BODY_TOO_LARGE")
			k.with(post, strings.Repeat("[", limit+1)).refused(413, "BODY_TOO_LARGE")
			k.get(k.admin, keyPath("one too many")).refused(404, "KEY_NOT_FOUND")
		})
	}
}

func TestBodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	conn, err := net.Dial("tcp", k.host)
	k.must(err)
	defer func() { k.must(conn.Close()) }()
	// No client library sends this, but a broken connection looks like it.
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n%s", keysPath, k.admin.Secret, goodBody)
	k.must(err)
	k.must(conn.(*net.TCPConn).CloseWrite())
	received, err := http.ReadResponse(bufio.NewReader(conn), nil)
	k.must(err)
	k.read(request{method: "POST", path: keysPath}, received).invalid("body")
	k.get(k.admin, keyPath("n")).refused(404, "KEY_NOT_FOUND")
}

func TestBodyWhereNoneIsTaken(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.mustCreate(k.admin, nil)
	for _, op := range k.operations(target.ID) {
		if op.method != http.MethodGet && op.method != http.MethodDelete {
			continue
		}
		for name, body := range map[string]string{
			"object": `{}`, "white space": ` `, "junk": "\x00\xff", "much": strings.Repeat("[", 1<<17),
		} {
			for _, chunked := range []bool{false, true} {
				k.Run(fmt.Sprintf("%s/%s/chunked %t", op.id, name, chunked), func(k *kit) {
					k.do(request{method: op.method, path: op.path, key: k.admin.Secret,
						body: body, chunked: chunked}).invalid("body")
				})
			}
		}
	}
	if got := k.get(k.admin, keyPath(target.ID)).want(200).key().Status; got != "ACTIVE" {
		k.Errorf("the key is %s: a refused request revoked it", got)
	}
}

func TestDetailsAreBounded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const most = 20
	extra := fields{}
	for i := range 400 {
		extra[fmt.Sprintf("extra%04d", i)] = i
	}
	query := strings.Builder{}
	for i := range 100 {
		fmt.Fprintf(&query, "&extra%04d=1", i)
	}
	answers := map[string]response{
		"properties": k.create(k.admin, extra),
		"parameters": k.get(k.admin, keysPath+"?"+query.String()[1:]),
	}
	for name, answer := range answers {
		if got := len(answer.invalid("extra0000").Details); got != most {
			k.Errorf("%d details about %s, want %d", got, name, most)
		}
		if len(answer.raw) > 8<<10 {
			k.Errorf("%d bytes about %s", len(answer.raw), name)
		}
	}
	k.get(k.admin, keysPath+"?"+query.String()[1:]+"&extra=1").invalid("query")
	several := k.create(k.admin, fields{"name": 1, "expires_at": 1, "owner": 1, "scopes": 1, "extra": 1})
	for _, field := range []string{"name", "expires_at", "owner", "scopes", "extra"} {
		several.invalid(field)
	}
}

// Every operation with a body refuses a compressed one, and says so.
func TestEncodedBodies(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, r := range []request{
		{method: "POST", path: keysPath, body: goodBody},
		{method: "POST", path: verifyPath, body: `{"key":"x"}`},
		{method: "POST", path: leaksPath, body: `{"key":"x"}`},
		{method: "POST", path: "/v1/introspect", body: "token=x"},
	} {
		r.key, r.foreign = k.admin.Secret, true
		media := "application/json"
		if r.path == "/v1/introspect" {
			media = "application/x-www-form-urlencoded"
		}
		for _, coding := range []string{"gzip", "GZIP", "br", "identity, gzip", "x"} {
			r.header = http.Header{"Content-Type": {media}, "Content-Encoding": {coding}}
			answer := k.do(r).refused(http.StatusUnsupportedMediaType, "BODY_ENCODED")
			if !strings.Contains(answer.Message, "uncompressed") {
				k.Errorf("%s: %q", r, answer.Message)
			}
		}
		r.header.Set("Content-Encoding", "Identity")
		if got := k.do(r).status; got >= 300 {
			k.Errorf("%s, not encoded: status %d", r, got)
		}
	}
}
