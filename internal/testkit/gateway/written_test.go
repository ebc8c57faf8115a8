package gateways_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"apikeyd/apikey"
	servertest "apikeyd/internal/testkit/server"
)

// written are the files of gateways that these tests do not run.
var written = []struct {
	file      string
	questions int    // number of questions to the service
	appended  string // the client's path and query, if the gateway appends them
}{
	{file: "traefik.yaml"},
	{file: "api.yaml", questions: 3},
	{file: "envoy.yaml", questions: 3, appended: "/reports/1?a=b&c=%2Fd;e&path=%zz&rate_limited=no"},
}

var asking = regexp.MustCompile(`/v1/forward-auth[^"\s]*`)

// TestWrittenGateways checks what can be checked of these gateways: their files are valid YAML, and
// their questions to the service have the documented meaning.
func TestWrittenGateways(t *testing.T) {
	t.Parallel()
	p := readPage(t)
	s := servertest.Start(t, servertest.Options{})
	_, reader := s.Add(t, "customer-42", "reader", "reports:read")
	_, clerk := s.Add(t, "customer-42", "clerk", "invoices:read", "invoices:write")
	_, half := s.Add(t, "customer-42", "half", "invoices:read")
	for _, row := range written {
		var content map[string]any
		if err := yaml.Unmarshal([]byte(p.files[row.file]), &content); err != nil || len(content) == 0 {
			t.Errorf("%s is not valid YAML or is missing: %v", row.file, err)
		}
		questions := asking.FindAllString(p.files[row.file], -1)
		if len(questions) != row.questions {
			t.Errorf("%s asks %d questions, want %d", row.file, len(questions), row.questions)
		}
		for _, question := range questions {
			asked := question + row.appended
			wantPass(t, s, asked, reader, !strings.Contains(question, "invoices"))
			wantPass(t, s, asked, clerk, !strings.Contains(question, "reports"))
			wantPass(t, s, asked, half, !strings.Contains(question, "scope="))
			if row.appended != "" { // a scope in the client's query only adds to the required ones
				wantPass(t, s, asked+"&scope=other", reader, false)
				wantPass(t, s, asked+"&scope=", reader, false)
			}
		}
	}
}

// overriding are headers from which some frameworks take the path, method, host or address of a
// request.
var overriding = []string{
	"Base-Url", "Forwarded", "Proxy", "X-Envoy-Original-Method", "X-Envoy-Original-Path", "X-Forwarded-For", "X-Forwarded-Host",
	"X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
	"X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded-Url", "X-Host",
	"X-Http-Host-Override", "X-Http-Method", "X-Http-Method-Override", "X-Http-Path-Override", "X-Method-Override",
	"X-Original-Host", "X-Original-Method", "X-Original-Path", "X-Original-Uri", "X-Original-Url", "X-Override-Url",
	"X-Proxy-Url", "X-Real-Ip", "X-Request-Uri", "X-Rewrite-Uri", "X-Rewrite-Url", "X-Script-Name",
}

// TestWrittenGatewaysDropOverrides checks by name the headers that TestAttacks sends to the others.
func TestWrittenGatewaysDropOverrides(t *testing.T) {
	t.Parallel()
	p := readPage(t)
	var envoy []*regexp.Regexp
	for _, found := range regexp.MustCompile(`safe_regex: \{ regex: "(.*?)" \}`).FindAllStringSubmatch(p.files["envoy.yaml"], -1) {
		envoy = append(envoy, regexp.MustCompile("^(?:"+found[1]+")$")) // Envoy matches whole names
	}
	for _, name := range overriding {
		for _, spelling := range []string{name, strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", ".")} {
			dropped := func(r *regexp.Regexp) bool { return r.MatchString(strings.ToLower(spelling)) }
			if !slices.ContainsFunc(envoy, dropped) {
				t.Errorf("Envoy passes %s on", spelling)
			}
		}
		// Traefik drops other spellings and sets these itself.
		if !strings.Contains(p.files["api.yaml"], " "+name+`: ""`) && !slices.Contains([]string{
			"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
		}, name) {
			t.Errorf("Traefik passes %s on", name)
		}
	}
}

// wantPass asks the service itself, with an unusual method.
func wantPass(t *testing.T, s *servertest.Server, question string, secret apikey.Secret, pass bool) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.URL, nil)
	must(t, err)
	request.URL.Opaque = question
	request.Header.Set("X-Api-Key", secret.Reveal())
	response, err := s.Plain.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	want := http.StatusForbidden
	if pass {
		want = http.StatusOK
	}
	if response.StatusCode != want {
		t.Errorf("%s: status %d, want %d", question, response.StatusCode, want)
	}
}
