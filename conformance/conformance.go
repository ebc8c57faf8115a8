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
	"time"

	"apikeyd/apikey"
)

// Options configure a run. URL, Key and Contract must be set.
type Options struct {
	URL      string // the deployment's URL, without /v1
	Key      string // the secret of a key with at least keys:read and keys:write
	Contract []byte // openapi.yaml
	ReadOnly bool   // send only GET requests, so that nothing changes except the last use of Key

	// Client sends the requests; nil means one with a timeout of 30 seconds.
	Client *http.Client
	// Progress is called with the result of each check, unless it is nil.
	Progress func(Result)

	only  string // prefix of the names of the checks to run
	clock clock  // nil means the real one
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
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped" // Findings say why
)

// Result is what one check found.
type Result struct {
	Group     string        `json:"group"`
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

// ErrUnusable means that the suite could not start: the deployment cannot be reached, or the key is
// not accepted.
var ErrUnusable = errors.New("the deployment cannot be checked")

// Run runs the suite. Keys that it creates are always revoked before it returns, and stay in the
// list as revoked keys do. It returns ErrUnusable, wrapped with the reason, or the error of an
// unreadable contract.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 30 * time.Second}
	}
	if o.clock == nil {
		o.clock = realClock{}
	}
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Host == "" {
		return Report{}, fmt.Errorf("%w: %q is not an http URL", ErrUnusable, o.URL)
	}
	contract, err := readContract(o.Contract)
	if err != nil {
		return Report{}, err
	}
	s := &session{
		ctx: ctx, clock: o.clock, client: o.Client, base: base, contract: contract,
		secret: o.Key, run: "conformance-" + strings.ToLower(rand.Text()[:8]), readOnly: o.ReadOnly,
	}
	if err := s.identify(); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	defer s.cleanUp()
	report := Report{URL: base.String()}
	start := time.Now()
	for _, c := range checks() {
		if !strings.HasPrefix(c.name, o.only) {
			continue
		}
		result := s.check(c)
		report.Results = append(report.Results, result)
		if o.Progress != nil {
			o.Progress(result)
		}
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
	}
	report.Took = time.Since(start)
	return report, nil
}

// check is a statement about a deployment and its test.
type check struct {
	group, name string
	needs       need
	test        func(*session)
}

// need is what a check requires. Needs can be combined.
type need uint

const (
	needWriteKey     need = 1 << iota // a key with keys:write
	needVerifyKey                     // a key with keys:verify
	needAdminKey                      // a key with keys:admin
	needUnlimitedKey                  // a key without a rate limit or quota, which the check would use up
	needNothing      need = 0         // GET requests only
)

// missing returns why a check cannot run here, or nothing if it can.
func (s *session) missing(n need) string {
	changing := n&(needWriteKey|needVerifyKey|needAdminKey) != 0
	switch {
	case s.readOnly && changing:
		return "it would change something"
	case n&needAdminKey != 0 && !s.scopes.Has(apikey.ScopeAdmin):
		return "it needs a key with " + apikey.ScopeAdmin
	case n&needVerifyKey != 0 && !s.scopes.Has(apikey.ScopeVerify):
		return "it needs a key with " + apikey.ScopeVerify
	case n&needWriteKey != 0 && !s.scopes.Has(apikey.ScopeWrite):
		return "it needs a key with " + apikey.ScopeWrite
	case n&needUnlimitedKey != 0 && s.limited:
		return "it needs a key without a rate limit or quota"
	}
	return ""
}

func checks() []check {
	var all []check
	for _, group := range [][]check{
		authenticationChecks(), lifecycleChecks(), nameChecks(), bodyChecks(), dateChecks(),
		listChecks(), cursorChecks(), filterChecks(), metadataChecks(), authorityChecks(), rotationChecks(),
		verificationChecks(), rateLimitChecks(), quotaChecks(), forwardAuthChecks(), introspectionChecks(), leakChecks(),
		usageChecks(), auditChecks(), routingChecks(), throttlingChecks(),
	} {
		all = append(all, group...)
	}
	return all
}

// check runs one check.
func (s *session) check(c check) Result {
	s.findings, s.exchanges = nil, 0
	result := Result{Group: c.group, Check: c.name, Outcome: Skipped}
	start := time.Now()
	if why := s.missing(c.needs); why != "" {
		s.findings = []string{why}
	} else {
		c.test(s)
		result.Outcome = Passed
		if len(s.findings) > 0 {
			result.Outcome = Failed
		}
	}
	result.Findings, result.Exchanges, result.Took = s.findings, s.exchanges, time.Since(start)
	return result
}
