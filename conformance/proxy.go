package conformance

import (
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"
)

// ours reports whether an error has the form that apikeyd gives its errors.
func (a answer) ours() bool {
	status, _ := a.body["status"].(float64)
	return int(status) == a.status && text(a.body["message"]) != "" && a.hasRequestID()
}

func (a answer) hasRequestID() bool {
	return a.header.Get("X-Request-Id") != "" || text(a.body["request_id"]) != ""
}

// foreign reports whether apikeyd cannot have given an answer, even if a proxy removed a header of it.
func foreign(a answer) bool {
	successful := a.status < 300 && (a.body != nil || a.header.Get("X-Api-Key-Id") != "")
	return !a.hasRequestID() && !successful
}

// proxyAnswered says who seems to have given a foreign answer, and what may help.
func proxyAnswered(a answer) string {
	finding := "a proxy in front of the server seems to have answered: " + a.origin()
	if help := map[int]string{
		http.StatusBadRequest:                  "it refuses the path, the query or a header",
		http.StatusUnauthorized:                "it asks for credentials of its own",
		http.StatusForbidden:                   "it has a rule against this request",
		http.StatusNotFound:                    "it does not pass on this path",
		http.StatusMethodNotAllowed:            "it refuses the method",
		http.StatusLengthRequired:              "it wants a Content-Length",
		http.StatusRequestEntityTooLarge:       "let it pass bodies of more than 64 KiB (nginx: client_max_body_size)",
		http.StatusRequestURITooLong:           "let it pass longer paths and queries (nginx: large_client_header_buffers)",
		http.StatusRequestHeaderFieldsTooLarge: "let it pass longer headers (nginx: large_client_header_buffers)",
		http.StatusNotImplemented:              "it does not know the method",
		http.StatusBadGateway:                  "it gets no answer from apikeyd",
		http.StatusServiceUnavailable:          "it gets no answer from apikeyd",
		http.StatusGatewayTimeout:              "it gets no answer from apikeyd in time",
	}[a.status]; help != "" {
		finding += "; " + help
	}
	return finding
}

var title = regexp.MustCompile(`(?is)<title>\s*(.{1,100}?)\s*</title>`)

// origin describes an answer of another program.
func (a answer) origin() string {
	described := fmt.Sprintf("status %d", a.status)
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if found := title.FindSubmatch(a.raw); media == "text/html" && found != nil {
		described += fmt.Sprintf(" with the page %q", strings.Join(strings.Fields(string(found[1])), " "))
	} else if media != "" {
		described += " with " + media
	}
	if a.header.Get("X-Request-Id") == "" {
		described += ", without X-Request-Id"
	}
	return described + a.marks()
}

// marks lists the headers of proxies, in parentheses. apikeyd sends none of them.
func (a answer) marks() string {
	var found []string
	for _, name := range []string{"Server", "Via"} {
		if value := a.header.Get(name); value != "" {
			found = append(found, fmt.Sprintf("%s: %.60s", name, value))
		}
	}
	if len(found) == 0 {
		return ""
	}
	return " (" + strings.Join(found, ", ") + ")"
}

// suspect blames a header's change on a proxy if there is one.
func (a answer) suspect() string {
	if marks := a.marks(); marks != "" {
		return "; a proxy in front of the server" + marks + " may have changed it"
	}
	return ""
}

// changed says what a proxy seems to have changed in a request for which apikeyd should have had
// another answer. It is empty if nothing points to a proxy.
func (a answer) changed(want int) string {
	switch code := a.body["code"]; {
	case code == "PATH_NOT_FOUND" && want != http.StatusNotFound && strings.Contains(strings.ToUpper(a.path), "%2F"):
		return "; a proxy in front of the server seems to have decoded %2F in the path"
	case code == "CREDENTIAL_MISSING" && len(a.credentials) > 0:
		return fmt.Sprintf("; a proxy in front of the server seems to have removed %s",
			strings.Join(a.credentials, " and "))
	}
	return ""
}

// credentials returns the names of the headers that have credentials.
func credentials(sent http.Header) []string {
	var names []string
	for _, name := range []string{"X-Api-Key", "Authorization"} {
		if sent.Get(name) != "" {
			names = append(names, name)
		}
	}
	return names
}
