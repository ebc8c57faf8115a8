package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// contractCheck is the check that comes first. If it fails, most others would too.
const contractCheck = "deployment/contract"

func deploymentChecks() []check {
	const group = "deployment"
	return []check{
		{group, "contract", "the server's own contract is the one that this program checks", needContract, sameContract},
		{group, "headers", "answers keep the headers that the server gives to all of them", needNothing, keptHeaders},
		{group, "paths", "paths and queries reach the server as they are sent", needNothing, keptPaths},
	}
}

const contractPath = "/openapi.json"

// meet finds out whether the URL leads to apikeyd, before the key is sent there: it asks for the
// server's contract, and for a refusal.
func (s *session) meet() error {
	contract, err := s.send(request{method: http.MethodGet, path: contractPath, secret: noCredentials})
	if err != nil {
		return fmt.Errorf("no apikeyd answers at %s: %w", s.base, err)
	}
	if to := s.redirected(contract); to != "" {
		return fmt.Errorf("%s redirects to %s: check that URL instead", s.base, to)
	}
	refusal, err := s.send(request{operation: "listApiKeys", secret: noCredentials})
	if err != nil {
		return err
	}
	theirs, err := ownContract(s.ctx, contract)
	switch {
	case err == nil:
		s.theirs = theirs
	case foreign(contract):
		s.hidden = contract.about + " got " + contract.origin()
	default:
		s.hidden = contract.about + ": " + err.Error()
	}
	switch {
	case refusal.ours() && refusal.status == http.StatusNotFound:
		return fmt.Errorf("apikeyd answers at %s, but knows no %s: %s",
			s.base, s.base.Path+refusal.path, s.wrongPath())
	case refusal.ours():
	case s.theirs != nil || gatewayFailed(refusal.status):
		return fmt.Errorf("%s: %s", refusal.about, proxyAnswered(refusal))
	default:
		return fmt.Errorf("%s is not apikeyd: %s", s.base, whatCame(contract, refusal, s.hidden))
	}
	s.lost = make(map[string]bool)
	for name, problem := range headerProblems(refusal) {
		s.lost[name] = problem != ""
	}
	s.welcome = refusal
	return nil
}

func (s *session) wrongPath() string {
	if s.base.Path == "" {
		return "a proxy in front of the server seems to have changed the path"
	}
	return "leave out " + s.base.Path + ", or let a proxy remove it"
}

// whatCame says what another service answered to two questions; hidden is about the first one.
func whatCame(contract, refusal answer, hidden string) string {
	came := hidden + "; " + refusal.about + " got " + refusal.origin()
	if foreign(contract) && contract.origin() == refusal.origin() {
		came = contract.about + " and " + refusal.about + " got " + refusal.origin()
	}
	if refusal.status == http.StatusUnauthorized || refusal.status == http.StatusForbidden {
		came += "; if that is a proxy in front of apikeyd, let the suite pass without its credentials"
	}
	return came
}

// ownContract reads the contract that a server sent. It fails for another API's.
func ownContract(ctx context.Context, a answer) (*openapi3.T, error) {
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("status %d", a.status)
	}
	document, err := openapi3.NewLoader().LoadFromData(a.raw)
	if err == nil {
		err = document.Validate(ctx, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaPatternValidation())
	}
	if err != nil {
		return nil, errors.New("the answer is not a valid OpenAPI document")
	}
	if item := document.Paths.Value("/v1/api-keys"); item == nil || item.Post == nil {
		return nil, fmt.Errorf("this is the contract of another API, %q", document.Info.Title)
	}
	return document, nil
}

// redirected returns the URL to which an answer redirects, without the path that was asked for, or "".
func (s *session) redirected(a answer) string {
	if a.header.Get("Location") == "" || a.status < 300 || a.status > 399 {
		return ""
	}
	to, err := s.location(a)
	if err != nil {
		return ""
	}
	to.RawQuery, to.Fragment, to.User = "", "", nil
	return strings.TrimSuffix(to.String(), a.path)
}

// location returns the URL to which an answer's Location leads.
func (s *session) location(a answer) (*url.URL, error) {
	sent, err := url.Parse(s.base.String() + a.path)
	if err != nil {
		return nil, err
	}
	return sent.Parse(a.header.Get("Location"))
}

func gatewayFailed(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

func sameContract(s *session) {
	ours, theirs := s.contract.document, s.theirs
	missing, added := compareContracts(ours, theirs)
	if len(missing)+len(added) == 0 {
		return
	}
	versions := fmt.Sprintf("version %s, this program's %s", theirs.Info.Version, ours.Info.Version)
	if theirs.Info.Version == ours.Info.Version {
		versions = fmt.Sprintf("another version %s than this program's", ours.Info.Version)
	}
	s.fail("the server's contract is %s: check it with the apikeyd of its own release, or expect findings of %s",
		versions, contractCheck)
	for _, difference := range missing {
		s.fail("the server's contract lacks %s", difference)
	}
	for _, difference := range added {
		s.fail("only the server's contract has %s", difference)
	}
}

// keptHeaders is about the answer to the first request. Other checks do not repeat what it finds.
func keptHeaders(s *session) {
	for _, name := range everyAnswer {
		if problem := headerProblems(s.welcome)[name]; problem != "" {
			s.fail("%s: %s%s", s.welcome.about, problem, s.welcome.suspect())
		}
	}
	if id := text(s.welcome.body["request_id"]); id != s.welcome.header.Get("X-Request-Id") && !s.lost["X-Request-Id"] {
		s.fail("%s: X-Request-Id is %q, but request_id is %q: a proxy in front of the server seems to have replaced it",
			s.welcome.about, s.welcome.header.Get("X-Request-Id"), id)
	}
}

// keptPaths sends what proxies like to tidy up.
func keptPaths(s *session) {
	const key, list = "/v1/api-keys/", "/v1/api-keys"
	for _, tt := range []struct {
		path, query string
		status      int
		code        string // of the error; empty for none
		changes     string // what a proxy does if the answer is another one
	}{
		{key + strings.ReplaceAll(s.id, "-", "%2D"), "", http.StatusOK, "", "encodes % again"},
		{key + strings.ReplaceAll(s.id, "-", "%252D"), "", http.StatusNotFound, "KEY_NOT_FOUND", "decodes %25"},
		{key + s.run + "%2Fb", "", http.StatusNotFound, "KEY_NOT_FOUND", "decodes %2F"},
		{"/v1//api-keys", "", http.StatusNotFound, "PATH_NOT_FOUND", "merges slashes"},
		{"/v1/" + s.run + "/../api-keys", "", http.StatusNotFound, "PATH_NOT_FOUND", "resolves .. in paths"},
		{list, "page=1;x=2", http.StatusBadRequest, "INVALID_REQUEST", "drops a part of queries"},
	} {
		a, err := s.send(request{method: http.MethodGet, path: tt.path, query: tt.query})
		switch code := text(a.body["code"]); {
		case err != nil:
			s.fail("%s", err)
		case foreign(a):
			s.fail("%s: %s", a.about, proxyAnswered(a))
		case a.status != tt.status || code != tt.code:
			s.fail("%s: status %d%s, want %d%s: a proxy in front of the server seems to have changed it: it %s",
				a.about, a.status, after(" ", code), tt.status, after(" ", tt.code), tt.changes)
		}
	}
}
