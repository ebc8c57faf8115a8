package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
)

const (
	// nobody, as the secret of a request, sends no credentials.
	nobody = "-"
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 8 << 20
	// maxFindings bounds what one check reports.
	maxFindings = 20
)

// session is one run against one deployment.
type session struct {
	ctx      context.Context //nolint:containedctx // a session is one run, and a run has one context
	client   *http.Client
	base     *url.URL
	contract *contract
	secret   string // of the key that we were given
	readOnly bool

	owner  string        // of that key
	scopes apikey.Scopes // of that key
	run    string        // begins the name of everything this run creates
	number int

	made      []created // to revoke when we are done
	findings  []string
	exchanges int
}

// created is a key that this run made.
type created struct {
	id, name, secret string
	location         string
	body             map[string]any
}

// request is one call, well-formed or not.
type request struct {
	why       string // what is special about it, for findings
	operation string // of the contract; empty for what the contract does not have
	method    string // needed without an operation
	path      string // needed without an operation; escaped
	key       string // {key_name}, escaped
	query     string
	secret    string // empty is the session's
	header    http.Header
	body      string // a JSON document, unless header says otherwise
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any // nil if it is no JSON object
	about  string         // the request, for findings
}

// fail records a finding. Secrets are blanked.
func (s *session) fail(format string, args ...any) {
	if finding := apikey.Redact(fmt.Sprintf(format, args...)); len(s.findings) < maxFindings &&
		!slices.Contains(s.findings, finding) {
		s.findings = append(s.findings, finding)
	}
}

// introduce finds out whose key we hold. The id stands in the secret.
func (s *session) introduce() error {
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
	s.owner, _ = a.body["owner"].(string)
	for _, scope := range list(a.body["scopes"]) {
		text, _ := scope.(string)
		s.scopes = append(s.scopes, text)
	}
	return nil
}

// want sends a request, checks the answer against everything that holds for all
// answers, and wants this status.
func (s *session) want(status int, r request) answer {
	a, err := s.send(r)
	if err != nil {
		s.fail("%s", err)
		return answer{}
	}
	for _, problem := range s.contract.problems(r.operation, a) {
		s.fail("%s: %s", a.about, problem)
	}
	s.checkSecrecy(a)
	if a.status != status {
		message, _ := a.body["message"].(string)
		s.fail("%s: status %d, want %d; %s", a.about, a.status, status, message)
	}
	return a
}

// refuses wants a 400 that names the field.
func (s *session) refuses(field string, r request) {
	a := s.want(http.StatusBadRequest, r)
	if message, _ := a.body["message"].(string); a.status == http.StatusBadRequest && !strings.Contains(message, field) {
		s.fail("%s: the message does not name %s: %q", a.about, field, message)
	}
}

// checkSecrecy finds our own secrets in an answer. The answer that creates a key is
// the one place for its secret.
func (s *session) checkSecrecy(a answer) {
	text := string(a.raw)
	if a.status == http.StatusCreated {
		shown, _ := a.body["secret"].(string)
		text = strings.Replace(text, shown, "", 1)
	}
	secrets := []string{s.secret}
	for _, key := range s.made {
		secrets = append(secrets, key.secret)
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			s.fail("%s: the answer holds the secret of a key", a.about)
		}
	}
}

// send sends a request exactly as written and reads the whole answer.
func (s *session) send(r request) (answer, error) {
	method, path := r.method, r.path
	if op, ok := s.contract.operations[r.operation]; ok {
		method, path = op.method, strings.Replace(op.path, "{key_name}", r.key, 1)
	}
	about := method + " " + path
	if r.query != "" {
		about += "?" + r.query
	}
	if r.why != "" {
		about += " (" + r.why + ")"
	}
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	sent, err := http.NewRequestWithContext(s.ctx, method, s.base.String(), body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", about, err)
	}
	// Opaque keeps net/http from cleaning up the path that we chose.
	sent.URL.Opaque = "//" + s.base.Host + s.base.EscapedPath() + path
	sent.URL.RawQuery = r.query
	s.setHeader(sent, r)
	got, err := s.client.Do(sent)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", about, err)
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("%s: reading the answer: %w", about, err)
	}
	s.exchanges++
	a := answer{status: got.StatusCode, header: got.Header, raw: raw, about: about}
	_ = json.Unmarshal(raw, &a.body) // what is no JSON object is found by the contract
	return a, nil
}

func (s *session) setHeader(sent *http.Request, r request) {
	if r.body != "" {
		sent.Header.Set("Content-Type", "application/json")
	}
	switch r.secret {
	case nobody:
	case "":
		sent.Header.Set("X-Api-Key", s.secret)
	default:
		sent.Header.Set("X-Api-Key", r.secret)
	}
	for name, values := range r.header {
		sent.Header[name] = values
	}
}

// newName returns a name that nobody has.
func (s *session) newName() string {
	s.number++
	return fmt.Sprintf("%s-%d", s.run, s.number)
}

// fields are the properties of a body.
type fields map[string]any

func (f fields) json() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // only our own literals come here
	}
	return string(text)
}

// with returns f with a property set.
func (f fields) with(name string, value any) fields {
	all := fields{name: value}
	for k, v := range f {
		if k != name {
			all[k] = v
		}
	}
	return all
}

// plain is the body of a key that a creation accepts.
func (s *session) plain() fields {
	return fields{"name": s.newName(), "expires_at": inAnHour()}
}

func inAnHour() string { return apikey.Timestamp(time.Now().Add(time.Hour)).String() }

// create makes a key that lives an hour, and remembers to revoke it. It reports false
// if that failed; the finding is recorded.
func (s *session) create(f fields) (created, bool) {
	return s.createAs("", f)
}

// createAs is create with another key's secret.
func (s *session) createAs(secret string, f fields) (created, bool) {
	a := s.want(http.StatusCreated, request{operation: "createApiKey", secret: secret, body: f.json()})
	key := created{body: a.body, location: a.header.Get("Location")}
	key.id, _ = a.body["id"].(string)
	key.name, _ = a.body["name"].(string)
	key.secret, _ = a.body["secret"].(string)
	if key.id != "" {
		s.made = append(s.made, key)
	}
	return key, a.status == http.StatusCreated && key.id != "" && key.secret != ""
}

// cleanUp revokes what this run made, also after its context ended.
func (s *session) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 30*time.Second)
	defer cancel()
	s.ctx = ctx
	for _, key := range s.made {
		_, _ = s.send(request{operation: "revokeApiKey", key: key.id}) // nothing is left to tell
	}
}

// list returns a JSON array, or nil.
func list(value any) []any {
	items, _ := value.([]any)
	return items
}

// object returns a JSON object, or nil.
func object(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}
