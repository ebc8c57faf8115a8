// Package conformance checks a running deployment of apikeyd against its contract: the form of
// every answer, and how the service behaves. It needs only the deployment's URL and a key, so it
// works for any deployment, behind a proxy or not. Our own tests run the same suite.
package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"apikeyd/apikey"
)

// Options configure a run. URL, Key and Contract must be set.
type Options struct {
	URL      string // the deployment's URL, without /v1
	Key      string // the secret of a key with at least keys:read and keys:write
	Contract []byte // openapi.yaml
	ReadOnly bool   // send only GET requests, so that nothing changes except the last use of Key
	// NoAddress says that the deployment need not know the callers' addresses, as at a Unix socket.
	NoAddress bool
	Selection

	// Client sends the requests, each within 30 seconds if it sets no other timeout; nil is one without settings.
	Client *http.Client
	// Progress is called with the result of each check, unless it is nil. If the server has another
	// contract, no check runs but the one that says so.
	Progress func(Result)

	clock clock // nil means the real one
}

// clock is the clock of a run.
type clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration)
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Outcome is how a check ended.
type Outcome string

// The outcomes of a check.
const (
	Passed   Outcome = "passed"
	Failed   Outcome = "failed"
	Expected Outcome = "expected" // it failed, as Selection.Expect says
	Skipped  Outcome = "skipped"  // Findings say why
)

// Result is what one check found.
type Result struct {
	Group     string        `json:"group"`
	Name      string        `json:"name"` // GROUP/NAME, as patterns name it
	Check     string        `json:"check"`
	Outcome   Outcome       `json:"outcome"`
	Findings  []string      `json:"findings,omitempty"` // never hold a secret
	Exchanges int           `json:"exchanges"`
	Took      time.Duration `json:"took_ns"`
}

// Report is the outcome of a run.
type Report struct {
	URL     string        `json:"url"`
	Took    time.Duration `json:"took_ns"`
	Results []Result      `json:"results"`
}

// Count returns how many checks had an outcome.
func (r Report) Count(o Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == o {
			n++
		}
	}
	return n
}

// Exchanges returns the number of answered requests.
func (r Report) Exchanges() int {
	n := 0
	for _, result := range r.Results {
		n += result.Exchanges
	}
	return n
}

// ErrUnusable means that the suite could not start: the deployment cannot be reached or is not
// apikeyd, or the key is not accepted.
var ErrUnusable = errors.New("the deployment cannot be checked")

// Run runs the suite. Keys that it creates are always revoked before it returns, and stay in the
// list as revoked keys do. It returns ErrUnusable, wrapped with the reason, or the error of an
// unreadable contract or an invalid pattern.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	s, err := newSession(ctx, o)
	if err != nil {
		return Report{}, err
	}
	if err := s.meet(); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	if err := s.identify(); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	defer s.cleanUp()
	report := Report{URL: s.base.String()}
	start := time.Now()
	for _, c := range checks() {
		if !o.includes(c) {
			continue
		}
		result := s.check(c, o.Selection)
		report.Results = append(report.Results, result)
		if o.Progress != nil && (!s.skewed || result.Name == contractCheck) {
			o.Progress(result)
		}
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
	}
	report.Took = time.Since(start)
	return report, nil
}

func newSession(ctx context.Context, o Options) (*session, error) {
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%w: %q is not an http URL", ErrUnusable, o.URL)
	}
	contract, err := readContract(o.Contract)
	if err != nil {
		return nil, err
	}
	s := &session{
		ctx: ctx, clock: o.clock, client: &http.Client{}, base: base, contract: contract,
		secret: o.Key, run: "conformance-" + strings.ToLower(rand.Text()[:8]), readOnly: o.ReadOnly, noAddress: o.NoAddress,
	}
	if o.Client != nil {
		client := *o.Client
		s.client = &client
	}
	if s.client.Timeout == 0 {
		s.client.Timeout = 30 * time.Second
	}
	// A redirect is an answer like any other. Following it could send the key to another server.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if s.clock == nil {
		s.clock = realClock{}
	}
	return s, nil
}

// check is a statement about a deployment and its test.
type check struct {
	group, name string // together they name it
	about       string
	needs       need
	test        func(*session)
}

func (c check) fullName() string { return c.group + "/" + c.name }

// need is what a check requires. Needs can be combined.
type need uint

const (
	needWriteKey     need = 1 << iota // a key with keys:write
	needVerifyKey                     // a key with keys:verify
	needAdminKey                      // a key with keys:admin
	needUnlimitedKey                  // a key without a rate limit or quota, which the check would use up, or networks, which new keys could not leave
	needAnyMethod                     // requests other than GET, which change nothing
	needContract                      // the server's own contract
	needNothing      need = 0         // GET requests only
)

// missing returns why a check cannot run here, or nothing if it can.
func (s *session) missing(n need) string {
	changing := n&(needWriteKey|needVerifyKey|needAdminKey) != 0
	switch {
	case s.readOnly && changing:
		return "it would change something"
	case s.readOnly && n&needAnyMethod != 0:
		return "it sends other requests than GET"
	case n&needContract != 0 && s.theirs == nil:
		return "the server's own contract is not there: " + s.hidden
	case n&needAdminKey != 0 && !s.scopes.Has(apikey.ScopeAdmin):
		return "it needs a key with " + apikey.ScopeAdmin
	case n&needVerifyKey != 0 && !s.scopes.Has(apikey.ScopeVerify):
		return "it needs a key with " + apikey.ScopeVerify
	case n&needWriteKey != 0 && !s.scopes.Has(apikey.ScopeWrite):
		return "it needs a key with " + apikey.ScopeWrite
	case n&needUnlimitedKey != 0 && s.limited:
		return "it needs a key without a rate limit, quota or allowed networks"
	}
	return ""
}

func checks() []check {
	var all []check
	for _, group := range [][]check{
		deploymentChecks(), exampleChecks(), authenticationChecks(), lifecycleChecks(), etagChecks(), nameChecks(), bodyChecks(), dateChecks(),
		listChecks(), cursorChecks(), filterChecks(), metadataChecks(), authorityChecks(), rotationChecks(),
		verificationChecks(), suspensionChecks(), ownerChecks(), importChecks(), networkChecks(), rateLimitChecks(), quotaChecks(), forwardAuthChecks(), introspectionChecks(), leakChecks(), webhookChecks(),
		usageChecks(), reviewChecks(), auditChecks(), historyChecks(), routingChecks(), throttlingChecks(),
	} {
		all = append(all, group...)
	}
	return all
}

// check runs one check, unless something keeps it from running.
func (s *session) check(c check, selected Selection) Result {
	s.findings, s.exchanges = nil, 0
	result := Result{Group: c.group, Name: c.fullName(), Check: c.about, Outcome: Skipped}
	start := time.Now()
	why := s.missing(c.needs)
	if pattern := matching(selected.Skip, c); pattern != "" {
		why = fmt.Sprintf("you skip %q", pattern)
	} else if s.skewed {
		why = "the server has another contract; see " + contractCheck
	}
	if why != "" {
		s.findings = []string{why}
	} else {
		s.perform(c.test)
		result.Outcome = s.outcome(matching(selected.Expect, c))
	}
	if c.fullName() == contractCheck {
		s.skewed = result.Outcome == Failed
	}
	result.Findings, result.Exchanges, result.Took = s.findings, s.exchanges, time.Since(start)
	return result
}

// perform runs a test in a goroutine of its own, which need and abort end.
func (s *session) perform(test func(*session)) {
	complete := false
	var running sync.WaitGroup
	running.Go(func() {
		test(s)
		complete = true
	})
	running.Wait()
	if !complete && len(s.findings) == 0 {
		s.fail("the check ended early, without a finding")
	}
}

// outcome is how the current check ended, if a pattern expects findings, or "" does not.
func (s *session) outcome(expected string) Outcome {
	switch {
	case expected == "" && len(s.findings) == 0:
		return Passed
	case expected == "":
		return Failed
	case len(s.findings) == 0:
		s.fail("it found nothing, but you expect findings of %q: expect them no longer", expected)
		return Failed
	}
	return Expected
}
