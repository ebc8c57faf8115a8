package handlers

import (
	"bytes"
	"io"
	"slices"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// verifyPlainly answers the plain bodies that verifyApiKey nearly always gets, without decoding,
// validation and binding. That saves half of a verify request (BenchmarkShortcuts). Validation
// would accept the same bodies, with the same values; FuzzPlain checks that. Other bodies go to next.
func (s *Server) verifyPlainly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.URL.RawQuery != "" || isEncoded(r.Header) || !slices.Equal(r.Header["Content-Type"], plainType) {
			return next(c)
		}
		data, err := readBody(c.Response(), r)
		if err != nil {
			return err
		}
		body, ok := plainVerifyRequest(data)
		if !ok {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
			return next(c)
		}
		answer, err := s.VerifyApiKey(r.Context(), gen.VerifyApiKeyRequestObject{Body: &body})
		if err != nil {
			return err
		}
		return answer.VisitVerifyApiKeyResponse(c.Response())
	}
}

var plainType = []string{"application/json"}

// plainVerifyRequest reads {"key":"…"}, which may be followed by "scopes":["…",…] and then by
// "client_address":"…", with optional spaces between tokens and no escapes in strings. It reports false for every other body, valid or not.
func plainVerifyRequest(data []byte) (gen.VerifyRequest, bool) {
	const maxScopes = 8 // the search for duplicates is quadratic
	p := plainReader{rest: data, ok: true}
	var body gen.VerifyRequest
	p.take('{')
	p.property("key")
	body.Key = p.text()
	more, name := p.another()
	if name == "scopes" {
		scopes := gen.Scopes{}
		p.take('[')
		for !p.next(']') && p.ok {
			if len(scopes) > 0 {
				p.take(',')
			}
			scope := p.text()
			p.ok = p.ok && apikey.IsScope(scope) && !slices.Contains(scopes, scope) && len(scopes) < maxScopes
			scopes = append(scopes, scope)
		}
		body.Scopes = &scopes
		more, name = p.another()
	}
	if more {
		address := p.text()
		p.ok = p.ok && name == "client_address" && len(address) <= maxHop
		body.ClientAddress = &address
	}
	p.take('}')
	p.spaces()
	return body, p.ok && len(p.rest) == 0
}

// plainReader reads plain JSON. After the first other token, ok stays false.
type plainReader struct {
	rest []byte
	ok   bool
}

func (p *plainReader) spaces() {
	for len(p.rest) > 0 && p.rest[0] == ' ' {
		p.rest = p.rest[1:]
	}
}

// next skips spaces, and reads the character c if it follows.
func (p *plainReader) next(c byte) bool {
	p.spaces()
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *plainReader) take(c byte) { p.ok = p.next(c) && p.ok }

func (p *plainReader) property(name string) { p.ok = p.name() == name && p.ok }

// another reports whether another property follows, and reads its name.
func (p *plainReader) another() (bool, string) {
	if !p.next(',') {
		return false, ""
	}
	return true, p.name()
}

// name reads the name of a property.
func (p *plainReader) name() string {
	name := p.text()
	p.take(':')
	return name
}

// text reads a string of printable ASCII without escapes.
func (p *plainReader) text() string {
	p.take('"')
	for i, c := range p.rest {
		switch {
		case c == '"':
			text := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return text
		case c < ' ' || c > '~' || c == '\\':
			p.ok = false
			return ""
		}
	}
	p.ok = false
	return ""
}
