package console

import "net/http"

// catchAll is the pattern of what no page has.
const catchAll = Path + "/"

// router is a mux that knows its patterns.
type router struct {
	http.ServeMux
	patterns []string
}

// Handle puts a handler at a pattern.
func (m *router) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

// methods returns the methods by which there is something at the address of a request.
func (m *router) methods(r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := m.Handler(other); pattern != catchAll {
			methods = append(methods, method)
		}
	}
	return methods
}
