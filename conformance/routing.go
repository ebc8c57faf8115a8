package conformance

import (
	"net/http"
	"slices"
	"strings"
)

func routingChecks() []check {
	const group = "routing"
	return []check{
		{group, "an unknown path is a JSON 404", needNothing, unknownPaths},
		{group, "an unknown method is a JSON 405 with Allow", needNothing, unknownMethods},
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
	known := make(map[string][]string) // the methods of each path
	for name, op := range s.contract.operations {
		if name == "forwardAuth" {
			continue // it takes every method
		}
		known[op.path] = append(known[op.path], op.method)
	}
	for path, methods := range known {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "NONSENSE"} {
			if slices.Contains(methods, method) || s.readOnly && method != http.MethodGet {
				continue
			}
			a := s.want(http.StatusMethodNotAllowed,
				request{method: method, path: strings.ReplaceAll(path, "{key_name}", s.run)})
			if a.status == http.StatusMethodNotAllowed && !allows(a.header.Get("Allow"), methods) {
				s.fail("%s: Allow is %q, want %v in it", a.about, a.header.Get("Allow"), methods)
			}
		}
	}
}

func allows(header string, methods []string) bool {
	var allowed []string
	for method := range strings.SplitSeq(header, ",") {
		allowed = append(allowed, strings.TrimSpace(method))
	}
	return !slices.ContainsFunc(methods, func(m string) bool { return !slices.Contains(allowed, m) })
}
