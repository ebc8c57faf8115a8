package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"apikeyd/apikey"
)

const (
	// noCredentials is the secret of a request without credentials.
	noCredentials = "-"
	// maxAnswer bounds an answer.
	maxAnswer = 16 << 20
	// maxBody is the largest body that the service accepts.
	maxBody = 64 << 10
	// maxFindings bounds the findings of one check.
	maxFindings = 20
)

// session is one run against one deployment.
type session struct {
	ctx      context.Context //nolint:containedctx // a session is one run, and a run has one context
	clock    clock
	client   *http.Client
	base     *url.URL
	contract *contract
	secret   string // of the given key
	readOnly bool

	id, name, owner string        // of that key
	scopes          apikey.Scopes // of that key
	limited         bool          // that key has a rate limit, quota or networks
	run             string        // prefix of all names in this run
	number          int
	noAddress       bool // the server need not know ours

	welcome answer          // to the first request of an operation, without credentials
	lost    map[string]bool // headers that welcome lacks, and so probably all answers
	theirs  *openapi3.T     // the server's own contract; nil if it could not be read
	hidden  string          // why theirs is nil
	skewed  bool            // theirs is another contract, unexpectedly

	made      []created // to revoke when we are done
	secrets   []string  // secrets that no answer may contain
	findings  []string
	exchanges int
}

// created is a key that this run made.
type created struct {
	id, name, secret string
	body             map[string]any
	at               time.Time // when the answer arrived, by our clock
}

// request is one call, valid or not.
type request struct {
	why       string // what is special about it, for findings
	operation string // of the contract; empty for requests outside the contract
	method    string // required without an operation; otherwise overrides its method
	path      string // required without an operation; escaped
	key       string // {key_name}, {owner} or {webhook_id}, escaped
	event     string // {event_id}
	below     string // appended to the path; escaped
	query     string
	secret    string // empty means the session's
	header    http.Header
	body      string // of the operation's media type, unless header says otherwise
}

// answer is the answer to a request.
type answer struct {
	operation   string
	method      string
	path        string   // of the request, below the base URL
	credentials []string // names of the request's headers that have credentials
	status      int
	header      http.Header
	raw         []byte
	body        map[string]any // nil unless it is a JSON object
	about       string         // the request, for findings
}

// fail records a finding. Secrets in it are redacted.
func (s *session) fail(format string, args ...any) {
	finding := apikey.Redact(sprintf(format, args...))
	switch {
	case slices.Contains(s.findings, finding):
	case len(s.findings) < maxFindings:
		s.findings = append(s.findings, finding)
	case len(s.findings) == maxFindings:
		s.findings = append(s.findings, "and more")
	}
}

// need ends the check unless the deployment gave what the rest of the check needs. A finding says what is missing.
func (s *session) need(given bool) {
	if !given {
		runtime.Goexit()
	}
}

// abort records a finding and ends the check.
func (s *session) abort(format string, args ...any) {
	s.fail(format, args...)
	runtime.Goexit()
}

// identify looks up the given key. Its id is part of the secret.
func (s *session) identify() error {
	secret, err := apikey.ParseSecret(s.secret)
	if err != nil {
		return errors.New("the key is not a well-formed secret")
	}
	a, err := s.send(request{operation: "getApiKey", key: secret.ID().String()})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%s answers %d: %v", a.about, a.status, a.body["message"])
	}
	s.id, s.secrets = secret.ID().String(), []string{s.secret}
	s.name, _ = a.body["name"].(string)
	s.owner, _ = a.body["owner"].(string)
	_, hasLimit := a.body["rate_limit"]
	_, hasQuota := a.body["quota"]
	_, hasNetworks := a.body["allowed_cidrs"]
	s.limited = hasLimit || hasQuota || hasNetworks
	for _, scope := range list(a.body["scopes"]) {
		text, _ := scope.(string)
		s.scopes = append(s.scopes, text)
	}
	return nil
}

// want sends a request and checks the answer: its status, and everything that holds for all answers.
// Failures from our address may be throttled, so it waits for an expected 401.
func (s *session) want(status int, r request) answer {
	send := s.send
	if status == http.StatusUnauthorized {
		send = s.sendAndWait
	}
	a, err := send(r)
	if err != nil {
		s.fail("%s", err)
		return answer{}
	}
	s.expect(status, a)
	return a
}

// expect makes the checks of want on an answer.
func (s *session) expect(status int, a answer) {
	s.checkSecrecy(a)
	if s.isForeign(a) {
		s.fail("%s: %s", a.about, proxyAnswered(a))
		return
	}
	for _, problem := range s.contract.problems(a, s.lost) {
		s.fail("%s: %s", a.about, problem)
	}
	if a.status != status {
		s.fail("%s: status %d, want %d%s%s", a.about, a.status, status, after("; ", text(a.body["message"])), a.changed(status))
	}
}

// isForeign is foreign, except for an answer without a body where a proxy always removes X-Request-Id.
func (s *session) isForeign(a answer) bool {
	return foreign(a) && (!s.lost["X-Request-Id"] || len(a.raw) > 0)
}

// wantCode is want for an error with this code.
func (s *session) wantCode(status int, code string, r request) answer {
	a := s.want(status, r)
	if a.status == status && a.body["code"] != code {
		s.fail("%s: code %v, want %s", a.about, a.body["code"], code)
	}
	return a
}

// refuses checks for a 400 that names the field.
func (s *session) refuses(field string, r request) {
	a := s.want(http.StatusBadRequest, r)
	if message, _ := a.body["message"].(string); a.status == http.StatusBadRequest && !strings.Contains(message, field) {
		s.fail("%s: the message does not name %s: %q", a.about, field, message)
	}
}

// checkSecrecy checks that an answer contains none of our secrets, except the secret of a created or
// rotated key in its own answer.
func (s *session) checkSecrecy(a answer) {
	text := string(a.raw)
	if a.operation == "createApiKey" || a.operation == "rotateApiKey" {
		shown, _ := a.body["secret"].(string)
		text = strings.Replace(text, shown, "", 1)
	}
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) {
			s.fail("%s: the answer contains the secret of a key", a.about)
		}
	}
}

// pause waits, unless the run has ended.
func (s *session) pause(d time.Duration) { s.clock.Sleep(s.ctx, d) }

// newName returns a unique name.
func (s *session) newName() string {
	s.number++
	return fmt.Sprintf("%s-%d", s.run, s.number)
}
