// Package conformance checks a running deployment of apikeyd against its contract:
// what every answer looks like, and how the service behaves. It knows the deployment
// only by its URL and a key, so it serves any of them, behind a proxy or not; our own
// tests run the same suite.
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

// Options say what to check. URL, Key and Contract must be set.
type Options struct {
	URL      string // where the deployment's /v1 is, without /v1
	Key      string // a secret with at least keys:read and keys:write
	Contract []byte // openapi.yaml
	ReadOnly bool   // send only GET: nothing is created or changed, but for the uses of Key

	// Client sends the requests; nil is one with a timeout of 30 seconds.
	Client *http.Client
	// Progress is told of each check when it ends; nil is nobody.
	Progress func(Result)

	only  string // how the names of the checks to run begin
	clock clock  // nil is the real one
}

// clock is how a run tells the time and waits.
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

// Count returns how many checks ended so.
func (r Report) Count(o Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == o {
			n++
		}
	}
	return n
}

// Exchanges returns how many requests were answered.
func (r Report) Exchanges() int {
	n := 0
	for _, result := range r.Results {
		n += result.Exchanges
	}
	return n
}

// ErrUnusable says that there was nothing to check: the deployment cannot be reached,
// or the key opens nothing.
var ErrUnusable = errors.New("the deployment cannot be checked")

// Run runs the suite. Keys that it creates are revoked before it returns, whatever
// happened; their rows stay, as revoked keys do. It returns ErrUnusable, wrapped with
// the reason, or the error of an unreadable contract.
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
	if err := s.introduce(); err != nil {
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

// check is one statement about a deployment, and how to test it.
type check struct {
	group, name string
	needs       need
	test        func(*session)
}

// need is what a check cannot do without. Needs add up.
type need uint

const (
	writing   need = 1 << iota // keys of its own
	verifying                  // a key with keys:verify
	ruling                     // a key with keys:admin
	passing                    // a key without a rate limit, which the check would use up
	reading   need = 0         // GET requests only
)

// missing says why a check cannot run here; empty if it can.
func (s *session) missing(n need) string {
	changing := n&(writing|verifying|ruling) != 0
	switch {
	case s.readOnly && changing:
		return "it would change something"
	case n&ruling != 0 && !s.scopes.Has(apikey.ScopeAdmin):
		return "it needs a key with " + apikey.ScopeAdmin
	case n&verifying != 0 && !s.scopes.Has(apikey.ScopeVerify):
		return "it needs a key with " + apikey.ScopeVerify
	case n&writing != 0 && !s.scopes.Has(apikey.ScopeWrite):
		return "it needs a key with " + apikey.ScopeWrite
	case n&passing != 0 && s.limited:
		return "it needs a key without a rate limit"
	}
	return ""
}

func checks() []check {
	var all []check
	for _, group := range [][]check{
		authenticationChecks(), lifecycleChecks(), nameChecks(), bodyChecks(), dateChecks(),
		listChecks(), cursorChecks(), filterChecks(), metadataChecks(), authorityChecks(), rotationChecks(),
		verificationChecks(), rateLimitChecks(), forwardAuthChecks(), introspectionChecks(), leakChecks(),
		usageChecks(), auditChecks(), routingChecks(), slowDownChecks(),
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
