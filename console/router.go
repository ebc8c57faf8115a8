package console

import "net/http"

// catchAll matches every address without a page.
const catchAll = Path + "/"

// router is a mux that lists its patterns.
type router struct {
	http.ServeMux
	patterns []string
}

// Handle registers a handler for a pattern.
func (m *router) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

// methods returns the methods that the address of a request accepts.
func (m *router) methods(r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := m.Handler(other); pattern != catchAll {
			methods = append(methods, method)
		}
	}
	return methods
}
