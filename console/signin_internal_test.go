package console

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestOwnPath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/console/keys":                "/console/keys",
		"/console/keys?q=a%2Fb&page=2": "/console/keys?q=a%2Fb&page=2",
		"/console/keys/a%2Fb/edit":     "/console/keys/a%2Fb/edit",
		"/console":                     Path, // as does everything invalid
		"":                             Path,
		"//evil.example":               Path,
		"//evil.example/console/keys":  Path,
		`/\evil.example`:               Path,
		`/console/\evil.example`:       Path,
		"https://evil.example":         Path,
		"https:/console/keys":          Path,
		"https:console":                Path,
		"javascript:alert(1)":          Path,
		"console/keys":                 Path,
		"/console/../v1/api-keys":      Path,
		"/console/..//evil.example":    Path,
		"/console/%2e%2e/docs":         Path,
		"/console/./keys":              Path,
		"/console//evil.example":       Path,
		"/consoles/keys":               Path,
		"/v1/api-keys":                 Path,
		"/console/sign-in":             Path,
		"/console/sign-out":            Path,
		"/console/keys\r\nSet-Cookie:": Path,
		"\t//evil.example":             Path,
		"/console/keys#x":              Path,
	} {
		if got := ownPath(text); got != want {
			t.Errorf("%q leads to %q, want %q", text, got, want)
		}
	}
}

// A return address always stays within the console, as browsers parse addresses.
func FuzzOwnPath(f *testing.F) {
	for _, seed := range []string{"/console/keys?q=a", "//evil", `/\evil`, "https:", "/console/../..", "/console/%2e%2e/x", "/console/\t/x"} {
		f.Add(seed)
	}
	base := &url.URL{Scheme: "https", Host: "keys.example.com", Path: Path + "/sign-in"}
	f.Fuzz(func(t *testing.T, text string) {
		got := ownPath(text)
		to, err := base.Parse(got)
		if err != nil || to.Scheme != base.Scheme || to.Host != base.Host || to.User != nil {
			t.Fatalf("%q leads to %q (%v)", text, got, err)
		}
		if clean := path.Clean(to.Path); clean != Path && !strings.HasPrefix(clean, Path+"/") {
			t.Fatalf("%q leads to %q, out of the console", text, got)
		}
		if strings.ContainsAny(got, "\\\r\n\t ") || ownPath(got) != got && got != Path {
			t.Fatalf("%q leads to %q", text, got)
		}
	})
}

// Only sealed values open, and only for their purpose.
func FuzzSeal(f *testing.F) {
	s, err := newSealer(make([]byte, KeySize))
	if err != nil {
		f.Fatal(err)
	}
	good := s.seal("purpose", "secret")
	f.Add("purpose", "")
	f.Add("other", good)
	f.Add("purpose", good[:len(good)-1])
	f.Add("purpose", strings.Repeat("A", 64))
	f.Fuzz(func(t *testing.T, purpose, text string) {
		var opened string
		if s.open(purpose, text, &opened) && (purpose != "purpose" || opened != "secret") {
			t.Fatalf("%q opens for %q", text, purpose)
		}
		if again := s.seal(purpose, text); !s.open(purpose, again, &opened) || again == s.seal(purpose, text) {
			t.Fatalf("%q does not come back, or looks the same twice", text)
		}
	})
}

// A kept form contains no secrets, whatever a browser sends.
func TestOwnForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "",
		"name=a&name=b":          "name=a&name=b",
		"name=%C3%A9&secret=ak_": "name=%C3%A9",
		"%zz":                    "",
		"a;b":                    "",
	} {
		if got := ownForm(text); got != want {
			t.Errorf("%q is kept as %q, want %q", text, got, want)
		}
	}
}

// TestCookieValue compares cookieValue with the standard library.
func TestCookieValue(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{
		nil, {""}, {"name=a"}, {"name=a; other=b"}, {"other=b; name=a"}, {"other=b;name=a"}, {"name="}, {"xname=b"},
		{"xname=b; name=a"}, {"other=name=b; name=a"}, {"other=b", "name=a"}, {"name=a; name=b"}, {"names=b; name=a ; c=d"},
		{"xname=name=b; name=a"}, {";;name=a"}, {"other=b;\tname=a"}, {"name=a=b"}, {"Name=a"},
	} {
		r := &http.Request{Header: http.Header{"Cookie": headers}}
		want, err := r.Cookie("name")
		got, found := cookieValue(r, "name")
		if found != (err == nil) || found && got != want.Value {
			t.Errorf("%q: %q, %t; want %v", headers, got, found, want)
		}
	}
}
