package conformance

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

func routingChecks() []check {
	const group = "routing"
	return []check{
		{group, "paths", "an unknown path is a JSON 404", needNothing, unknownPaths},
		{group, "methods", "an unknown method is a JSON 405 with Allow", needNothing, unknownMethods},
		{group, "head", "HEAD is a 405 with Allow on paths of the contract, and works for the contract itself", needAnyMethod, heads},
		{group, "options", "OPTIONS is a 204 with Allow, and needs no key", needAnyMethod, options},
	}
}

func unknownPaths(s *session) {
	for _, path := range []string{
		"/v1", "/v1/", "/v1/api-key", "/v1/api-keys/", "/v1/API-KEYS", "/v1/api-keys/a/b", "/v1/api-keys/a/", "/v2/api-keys",
	} {
		s.want(http.StatusNotFound, request{method: http.MethodGet, path: path})
	}
}

func unknownMethods(s *session) {
	known := s.knownMethods()
	for _, path := range slices.Sorted(maps.Keys(known)) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "NONSENSE"} {
			if slices.Contains(known[path], method) || s.readOnly && method != http.MethodGet {
				continue
			}
			s.wantAllow(known[path], s.want(http.StatusMethodNotAllowed, request{method: method, path: path}))
		}
	}
}

// knownMethods returns the methods of each path, except of forward-auth, which takes every method.
func (s *session) knownMethods() map[string][]string {
	known := make(map[string][]string)
	for name, op := range s.contract.operations {
		if name != "forwardAuth" {
			path := strings.NewReplacer("{key_name}", s.run, "{owner}", s.run, "{webhook_id}", s.run, "{event_id}", s.run).Replace(op.path)
			known[path] = append(known[path], op.method)
		}
	}
	return known
}

// wantAllow checks that an answer with Allow lists these methods.
func (s *session) wantAllow(methods []string, a answer) {
	got := a.header.Get("Allow")
	if (a.status == http.StatusMethodNotAllowed || a.status == http.StatusNoContent) && !s.isForeign(a) && !allows(got, methods) {
		slices.Sort(methods)
		s.fail("%s: Allow is %q, want %s in it%s", a.about, got, strings.Join(methods, " and "), a.suspect())
	}
}

func heads(s *session) {
	known := s.knownMethods()
	for _, path := range slices.Sorted(maps.Keys(known)) {
		s.wantAllow(known[path], s.want(http.StatusMethodNotAllowed, request{method: http.MethodHead, path: path}))
	}
	if s.theirs == nil {
		return
	}
	get := request{method: http.MethodGet, path: contractPath, secret: noCredentials}
	head := get
	head.method = http.MethodHead
	got, without := s.mustSend(get), s.mustSend(head)
	if without.status != got.status || len(without.raw) > 0 {
		s.fail("%s: status %d and %d bytes, want %d and none, as GET without its body%s",
			without.about, without.status, len(without.raw), got.status, without.suspect())
	}
	if kind := got.header.Get("Content-Type"); without.header.Get("Content-Type") != kind {
		s.fail("%s: Content-Type is %q, want %q, as GET has%s",
			without.about, without.header.Get("Content-Type"), kind, without.suspect())
	}
}

func options(s *session) {
	known := s.knownMethods()
	for _, path := range slices.Sorted(maps.Keys(known)) {
		a := s.want(http.StatusNoContent, request{method: http.MethodOptions, path: path, secret: noCredentials})
		s.wantAllow(known[path], a)
	}
}

func allows(header string, methods []string) bool {
	var allowed []string
	for method := range strings.SplitSeq(header, ",") {
		allowed = append(allowed, strings.TrimSpace(method))
	}
	return !slices.ContainsFunc(methods, func(m string) bool { return !slices.Contains(allowed, m) })
}
