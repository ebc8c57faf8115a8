package handlers

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// What scripts of other origins may send and read. They never send cookies: a key is a header, and
// Access-Control-Allow-Credentials is not sent.
const (
	corsRequestHeaders = "Authorization, Content-Type, If-Match, If-None-Match, Traceparent, Tracestate, X-Api-Key"
	corsAnswerHeaders  = "Allow, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id"
	corsMaxAge         = "600" // seconds
)

// allowOrigin lets scripts of the configured origins call the operations (Fetch Standard, section 3.2).
// Forward-auth is for gateways, whose clients must not see this server's own headers.
func (s *Server) allowOrigin(c echo.Context) {
	r := c.Request()
	if len(s.CORSOrigins) == 0 || !strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/v1/forward-auth") {
		return
	}
	header := c.Response().Header()
	header.Add("Vary", "Origin")
	origins := r.Header["Origin"]
	if len(origins) != 1 || !slices.Contains(s.CORSOrigins, origins[0]) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origins[0])
	if !isPreflight(r) {
		header.Set("Access-Control-Expose-Headers", corsAnswerHeaders)
		return
	}
	header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	c.Response().Before(func() {
		header.Set("Access-Control-Allow-Methods", header.Get("Allow")) // the router knows them
		header.Set("Access-Control-Allow-Headers", corsRequestHeaders)
		header.Set("Access-Control-Max-Age", corsMaxAge)
	})
}

// isPreflight reports whether a browser asks whether a script may send another request. Only the method of the
// request itself counts: clients can send X-Forwarded-Method.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// passesPreflight answers a gateway's preflight without a key, if the configuration says so, with an empty
// identity.
func (s *Server) passesPreflight(c echo.Context) bool {
	r := c.Request()
	if !s.PassPreflights || !isPreflight(r) || r.Header.Get("X-Api-Key") != "" || r.Header.Get("Authorization") != "" {
		return false
	}
	header := c.Response().Header()
	for _, name := range identityHeaders {
		header[name] = []string{""}
	}
	c.Response().WriteHeader(http.StatusOK)
	return true
}
