package console

import (
	"net/http"
	"testing"
)

// TestCookieValue compares cookieValue with the standard library.
func TestCookieValue(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{
		nil, {""}, {"name=a"}, {"name=a; other=b"}, {"other=b; name=a"}, {"other=b;name=a"}, {"name="}, {"xname=b"},
		{"xname=b; name=a"}, {"other=name=b; name=a"}, {"other=b", "name=a"}, {"name=a; name=b"}, {"names=b; name=a ; c=d"},
		{"xname=name=b; name=a"},
	} {
		r := &http.Request{Header: http.Header{"Cookie": headers}}
		want, err := r.Cookie("name")
		got, found := cookieValue(r, "name")
		if found != (err == nil) || found && got != want.Value {
			t.Errorf("%q: %q, %t; want %v", headers, got, found, want)
		}
	}
}
