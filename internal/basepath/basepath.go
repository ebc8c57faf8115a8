// Package basepath serves a handler below a path, such as https://example.com/keys. Handlers know only
// their own paths: on the way in the base path is removed, and on the way out it is put in front of
// Location and HX-Push-Url.
package basepath

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
)

// ForwardedPrefix is the header in which a proxy reports the prefix that it removed from the path.
const ForwardedPrefix = "X-Forwarded-Prefix"

const maxLength = 128

// form allows only characters that need no escaping in URLs, HTML, cookies and headers.
var form = regexp.MustCompile(`^(/[0-9A-Za-z._~-]+)+$`)

// Parse reads a base path. It returns "" for the root, and otherwise a path without a slash at its end.
func Parse(text string) (string, error) {
	path := strings.TrimSuffix(text, "/")
	switch {
	case path == "":
		return "", nil
	case len(path) > maxLength:
		return "", errors.New("must be at most 128 characters")
	case !form.MatchString(path) || strings.Contains(path+"/", "/./") || strings.Contains(path+"/", "/../"):
		return "", errors.New("must be a path such as /keys, of letters, digits and - . _ ~, without . or .. between slashes")
	}
	return path, nil
}

// Options say how a server learns its base path.
type Options struct {
	// Path is a fixed base path that clients' paths begin with, or "".
	Path string
	// Trusts reports whether a connection is a proxy's whose X-Forwarded-Prefix is believed.
	Trusts func(*http.Request) bool
}

// place is where a request found the server.
type place struct {
	base    string // "" is the root
	outside bool   // not below the base path
}

type placeKey struct{}

// Of returns the base path of a request, to build addresses that its client can use; "" is the root.
func Of(ctx context.Context) string {
	at, _ := ctx.Value(placeKey{}).(place)
	return at.base
}

// IsOutside reports whether a request is not below the base path. It must not be served.
func IsOutside(ctx context.Context) bool {
	at, _ := ctx.Value(placeKey{}).(place)
	return at.outside
}

// Handler serves next below the base path.
func Handler(next http.Handler, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, path := o.locate(r)
		if at == (place{}) {
			next.ServeHTTP(w, r)
			return
		}
		below := r.WithContext(context.WithValue(r.Context(), placeKey{}, at))
		url := *r.URL
		below.URL = &url
		url.Path = strings.TrimPrefix(url.Path, path)
		url.RawPath = strings.TrimPrefix(url.RawPath, path)
		if url.Path == "" {
			url.Path = "/"
		}
		next.ServeHTTP(rebased{w, at.base}, below)
	})
}

// locate returns where a request is, and what to remove from its path.
func (o Options) locate(r *http.Request) (at place, remove string) {
	removed := o.removed(r)
	if o.Path == "" {
		return place{base: removed}, ""
	}
	at.base = o.Path
	rest, below := strings.CutPrefix(r.URL.EscapedPath(), o.Path)
	switch {
	case removed == o.Path:
		// Not removing it again matters: a proxy that denies /keys/console would let /keys/keys/console pass.
	case below && (rest == "" || rest[0] == '/'):
		remove = o.Path
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz": // probes ask this machine, without a proxy
	default:
		at.outside = true
	}
	return at, remove
}

// removed returns the prefix that a trusted proxy removed, or "". A value that is no base path counts
// as none: whoever sent it, no answer may repeat it.
func (o Options) removed(r *http.Request) string {
	values := r.Header[ForwardedPrefix]
	if len(values) != 1 || o.Trusts == nil || !o.Trusts(r) {
		return ""
	}
	prefix, _ := Parse(values[0])
	return prefix
}

// rebased completes addresses in headers.
type rebased struct {
	http.ResponseWriter
	base string
}

// WriteHeader implements http.ResponseWriter.
func (w rebased) WriteHeader(status int) {
	header := w.Header()
	for _, name := range []string{"Location", "Hx-Push-Url"} {
		if path := header.Get(name); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
			header.Set(name, w.base+path)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w rebased) Unwrap() http.ResponseWriter { return w.ResponseWriter }
