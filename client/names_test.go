package client_test

import (
	"net/http"
	"strings"
	"testing"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

// Every valid name is percent-encoded exactly once, so it never reaches another key.
func TestNamesAreEncodedOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	prefixed := newClient(t, k.URL, k.secret, client.Options{HTTPClient: k.Client})
	all := []string{
		"a/b", "a%2Fb", "a%252Fb", "100%", "a b", "a+b", "a%20b", "ключ", "a?b#c", "a&b=c", "a;b", "a:b", ":", "...",
		"../v1", "a/../b", "./a", "a//b", "//host/a", "http://host/a", `a\b`, "a'b\"c<d>", "~", "*", "日本語🔑", "%", "%zz", "a,b", "a=b", "@",
		strings.Repeat("ю", 255),
	}
	ids := map[string]string{}
	for _, name := range all {
		created, err := prefixed.Create(t.Context(), client.NewKey{Name: name, ExpiresAt: inAnHour()})
		must(t, err)
		ids[name] = created.ID
	}
	for _, name := range all {
		got, err := k.admin.Get(t.Context(), name)
		if err != nil || got.ID != ids[name] || got.Name != name {
			t.Errorf("Get(%q): key %q, %v", name, got.Name, err)
		}
		if got, err = k.admin.Update(t.Context(), name, client.Change{Scopes: &[]string{}}); err != nil || got.ID != ids[name] {
			t.Errorf("Update(%q): key %q, %v", name, got.Name, err)
		}
		rotated, err := k.admin.Rotate(t.Context(), name, 0)
		if err != nil || rotated.ID != ids[name] {
			t.Errorf("Rotate(%q): key %q, %v", name, rotated.Name, err)
		}
		if got, err = k.admin.Revoke(t.Context(), name); err != nil || got.ID != ids[name] {
			t.Errorf("Revoke(%q): key %q, %v", name, got.Name, err)
		}
	}
}

func TestBaseURLWithAPath(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{Handler: func(service http.Handler) http.Handler {
		return http.StripPrefix("/some/folder", service)
	}})
	for _, path := range []string{"/some/folder", "/some/folder/", "/some/folder//"} {
		c := newClient(t, k.URL+path, k.secret, client.Options{HTTPClient: k.Plain, MaxRetries: -1})
		name := "a/b of " + path
		created, err := c.Create(t.Context(), client.NewKey{Name: name, ExpiresAt: inAnHour()})
		must(t, err)
		got, err := c.ForOwner("admin").Get(t.Context(), name)
		must(t, err)
		if got.ID != created.ID {
			t.Errorf("%s: got the key %q", path, got.Name)
		}
		if _, err := names(t.Context(), c, client.ListOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// These names would change the path and so the operation.
func TestNamesThatArePathsAreNotSent(t *testing.T) {
	t.Parallel()
	asked := &counter{base: http.DefaultTransport}
	c := newClient(t, "http://127.0.0.1:1", "secret", client.Options{HTTPClient: &http.Client{Transport: asked}})
	for _, name := range []string{"", ".", ".."} {
		_, err := c.Get(t.Context(), name)
		wantError(t, err, 404, client.CodeKeyNotFound)
		_, err = c.Update(t.Context(), name, client.Change{})
		wantError(t, err, 404, client.CodeKeyNotFound)
		_, err = c.Rotate(t.Context(), name, 0)
		wantError(t, err, 404, client.CodeKeyNotFound)
		_, err = c.Revoke(t.Context(), name)
		wantError(t, err, 404, client.CodeKeyNotFound)
	}
	if n := asked.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// encoding/json would silently change the name.
func TestInvalidUTF8IsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	const bad = "caf\xe9"
	_, err := k.admin.Create(t.Context(), client.NewKey{Name: bad, ExpiresAt: inAnHour()})
	wantPlain(t, err)
	_, err = k.admin.Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: inAnHour(), Scopes: &[]string{bad}})
	wantPlain(t, err)
	_, err = k.admin.ForOwner(bad).Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: inAnHour()})
	wantPlain(t, err)
	_, err = k.admin.Update(t.Context(), "admin", client.Change{Name: new(bad)})
	wantPlain(t, err)
	for _, metadata := range []map[string]string{{bad: ""}, {"n": bad}} {
		_, err = k.admin.Create(t.Context(), client.NewKey{Name: "n", ExpiresAt: inAnHour(), Metadata: metadata})
		wantPlain(t, err)
		_, err = k.admin.Update(t.Context(), "admin", client.Change{Metadata: &metadata})
		wantPlain(t, err)
	}
	_, err = k.admin.Get(t.Context(), bad)
	wantError(t, err, 404, client.CodeKeyNotFound)
	all, err := names(t.Context(), k.admin, client.ListOptions{})
	must(t, err)
	if len(all) != 1 {
		t.Errorf("keys %q", all)
	}
}

// wantPlain checks for an error that is not an *Error.
func wantPlain(t *testing.T, err error) {
	t.Helper()
	if err == nil || client.CodeOf(err) != "" {
		t.Errorf("%v, want an error without an answer", err)
	}
}
