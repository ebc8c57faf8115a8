package handlers_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"apikeyd/apikey"
	"apikeyd/store"
)

var identityHeaders = []string{"X-Api-Key-Id", "X-Api-Key-Name", "X-Api-Key-Owner", "X-Api-Key-Scopes"}

// wantNoIdentity expects an answer without identity headers.
func (r response) wantNoIdentity() {
	r.k.Helper()
	for _, name := range identityHeaders {
		if _, told := r.header[name]; told {
			r.k.Errorf("%s: %s in an answer %d", r.request, name, r.status)
		}
	}
}

// wantIdentity expects each identity header once, whatever the client sent, with values that are safe in
// headers.
func (r response) wantIdentity(id, name, owner, scopes string) {
	r.k.Helper()
	for header, want := range map[string]string{
		"X-Api-Key-Id": id, "X-Api-Key-Name": name, "X-Api-Key-Owner": owner, "X-Api-Key-Scopes": scopes,
	} {
		values, told := r.header[header]
		if !told || len(values) != 1 {
			r.k.Errorf("%s: %s is %q", r.request, header, values)
			continue
		}
		got := values[0]
		if header == "X-Api-Key-Name" || header == "X-Api-Key-Owner" {
			if strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`",;\<>(){}`, c) }) {
				r.k.Errorf("%s: %s is %q, which is not safe", r.request, header, got)
			}
			var err error
			if got, err = url.PathUnescape(got); err != nil {
				r.k.Errorf("%s: %s is %q: %v", r.request, header, values[0], err)
			}
		}
		if got != want {
			r.k.Errorf("%s: %s means %q, want %q", r.request, header, got, want)
		}
	}
}

func TestIdentityHeaders(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	names := append([]string{
		"plain", "two words", `"quoted"`, "it's", "a,b", "a;b=c", "100%", "%41", "%0d%0aX-Api-Key-Owner: admin", "a+b", "a&b", "a/b", "a?b#c",
		`back\slash`, "<b>", "ключ", "🔑", "\u202eleft", "a\u2028b", "=?utf-8?B?YQ==?=", "-", "~", "$(id)", "`id`", "${x}", "{{x}}", "null",
		strings.Repeat("🔑", 255), "x: y", "keep-alive", "\u0130",
	}, likeNames...)
	slices.Sort(names)
	for i, name := range slices.Compact(names) {
		k.Run(name, func(k *kit) {
			owner := fmt.Sprint(i, " of ", name)
			if len([]rune(owner)) > 255 {
				owner = name
			}
			scopes := []string{"a", "!#$%&'()*+-./:;<=>?@[]^_`{|}~"}
			made := k.mustCreate(k.admin, fields{"name": name, "owner": owner, "scopes": scopes})
			k.do(request{path: forwardPath, key: made.Secret}).want(200).
				wantIdentity(made.ID, name, owner, strings.Join(scopes, " "))
		})
	}
	k.Run("no scopes", func(k *kit) {
		bare := k.add("team", "bare")
		k.do(request{path: forwardPath, key: bare.Secret}).want(200).wantIdentity(bare.ID, "bare", "team", "")
	})
	k.Run("64 scopes of 128 characters", func(k *kit) {
		var scopes []string
		for i := range 64 {
			scopes = append(scopes, fmt.Sprintf("%02d", i)+strings.Repeat("s", 126))
		}
		much := k.add("team", "much", scopes...)
		k.do(request{path: forwardPath, key: much.Secret}).want(200).
			wantIdentity(much.ID, "much", "team", strings.Join(scopes, " "))
	})
}

// Identity headers from the client are not returned.
func TestIdentityCannotBeForged(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	client := k.add("team", "client")
	for name, header := range map[string]http.Header{
		"as they are": {"X-Api-Key-Id": {k.admin.ID}, "X-Api-Key-Name": {"admin"}, "X-Api-Key-Owner": {"admin"}, "X-Api-Key-Scopes": {"keys:admin"}},
		"twice":       {"X-Api-Key-Owner": {"admin", "admin"}, "X-Api-Key-Scopes": {"a", "b"}},
		"in lower case": {"x-api-key-owner": {"admin"}, "x-api-key-scopes": {"keys:admin"}, "x-api-key-id": {k.admin.ID},
			"x-api-key-name": {"admin"}},
		"with underscores":     {"X_Api_Key_Owner": {"admin"}, "X_Api_Key_Scopes": {"keys:admin"}},
		"as hop by hop":        {"Connection": {"X-Api-Key-Owner, X-Api-Key-Scopes"}, "X-Api-Key-Owner": {"admin"}},
		"as another's address": {"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-User": {"admin"}, "X-Original-Url": {"/v1/api-keys"}},
		"as another method":    {"X-Forwarded-Method": {"GET"}, "X-Http-Method-Override": {"DELETE"}, "X-Original-Method": {"GET"}},
	} {
		k.Run(name, func(k *kit) {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				k.do(request{method: method, path: forwardPath, key: client.Secret, header: header, foreign: true}).want(200).
					wantIdentity(client.ID, "client", "team", "")
			}
			k.do(request{path: forwardPath, header: header, foreign: true}).want(401).wantNoIdentity()
		})
	}
	k.Run("in the query", func(k *kit) {
		k.forward(client.Secret, "?X-Api-Key-Owner=admin&owner=admin&x-api-key-scopes=keys:admin").want(200).
			wantIdentity(client.ID, "client", "team", "")
	})
	k.Run("by a name that no request can make", func(k *kit) {
		// An older version might have.
		name := "a\r\nX-Api-Key-Owner: admin\r\n\r\nbody"
		_, err := k.db.UpdateKey(k.Context(), operator, store.ByName("team", "client"), apikey.Change{Name: &name})
		k.must(err)
		k.do(request{path: forwardPath, key: client.Secret}).want(200).wantIdentity(client.ID, name, "team", "")
	})
}

// No client library sends these methods with a path, but a gateway may.
func TestForwardAuthByRawRequests(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	client := k.add("team", "client")
	for name, head := range map[string]string{
		"CONNECT":        "CONNECT /v1/forward-auth HTTP/1.1",
		"CONNECT deeper": "CONNECT /v1/forward-auth/a HTTP/1.1",
		"a full URL":     "GET http://elsewhere.example/v1/forward-auth/a?scope=%zz&x HTTP/1.1",
		"HTTP/1.0":       "POST /v1/forward-auth HTTP/1.0",
	} {
		for _, secret := range []string{client.Secret, mistyped(client.Secret)} {
			k.Run(name, func(k *kit) {
				conn, err := net.Dial("tcp", k.host)
				k.must(err)
				defer func() { k.must(conn.Close()) }()
				_, err = fmt.Fprintf(conn, "%s\r\nHost: elsewhere.example\r\nX-Api-Key: %s\r\n"+
					"X-Api-Key-Owner: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", head, secret)
				k.must(err)
				received, err := http.ReadResponse(bufio.NewReader(conn), nil)
				k.must(err)
				answer := k.read(request{path: forwardPath}, received)
				switch {
				case secret != client.Secret:
					answer.refused(401, "CREDENTIAL_INVALID")
				case strings.Contains(head, "%zz"):
					answer.refused(403, "FORBIDDEN")
				default:
					answer.want(200).wantIdentity(client.ID, "client", "team", "")
				}
			})
		}
	}
}
