package metrics

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/handlers"
	"apikeyd/verify"
)

// requests counts and times requests. Its maps never change, so counting needs neither a lock nor an
// allocation.
type requests struct {
	inFlight      atomic.Int64
	operations    map[string]*operation
	authenticated outcomes

	refusals *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

var _ handlers.Observer = (*requests)(nil)

// operation counts the requests of one operation.
type operation struct {
	statuses [maxStatus]atomic.Uint64
	seconds  prometheus.Observer
	verified outcomes
}

const maxStatus = 600

// outcomes counts decisions about keys.
type outcomes map[verify.Code]*atomic.Uint64

func newOutcomes() outcomes {
	all := make(outcomes)
	for _, code := range []verify.Code{
		verify.NotFound, verify.Revoked, verify.Disabled, verify.Expired, verify.AddressNotAllowed, verify.InsufficientScope,
		verify.QuotaExceeded, verify.RateLimited, verify.Valid,
	} {
		all[code] = new(atomic.Uint64)
	}
	return all
}

// count counts one decision; "" is none.
func (o outcomes) count(code verify.Code) {
	if counter := o[code]; counter != nil {
		counter.Add(1)
	}
}

var (
	requestsTotal = describe("apikeyd_http_requests_total",
		"Answered requests, by operation of the contract and HTTP status.", "operation", "status")
	requestsInFlight = describe("apikeyd_http_requests_in_flight",
		"Requests in flight.")
	authentications = describe("apikeyd_authentications_total",
		"Decisions about the keys of apikeyd's own callers, by outcome.", "code")
	verifications = describe("apikeyd_verifications_total",
		"Decisions about verified keys, by operation and outcome.", "operation", "code")
)

func newRequests(operations []string) *requests {
	r := &requests{
		operations: make(map[string]*operation), authenticated: newOutcomes(),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikeyd_refusals_total",
			Help: "Answered errors, by their code.",
		}, []string{"code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikeyd_http_request_duration_seconds",
			Help: "Time from the end of a request's header to the end of its answer, by operation of the contract.",
			Buckets: []float64{
				.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
			},
		}, []string{"operation"}),
	}
	for _, name := range operations {
		r.operations[name] = &operation{seconds: r.seconds.WithLabelValues(name)}
	}
	for _, name := range []string{"verifyApiKey", "forwardAuth", "introspectToken"} {
		if o := r.operations[name]; o != nil {
			o.verified = newOutcomes()
		}
	}
	// These start at zero, so that alerts see the first increase.
	for _, code := range []string{"INTERNAL", "UNAVAILABLE", "OUTCOME_UNKNOWN"} {
		r.refusals.WithLabelValues(code)
	}
	return r
}

// Began implements handlers.Observer.
func (r *requests) Began(ctx context.Context, _ *http.Request) context.Context {
	r.inFlight.Add(1)
	return ctx
}

// Answered implements handlers.Observer.
func (r *requests) Answered(_ context.Context, a *handlers.Answer) {
	r.inFlight.Add(-1)
	if a.Code != "" {
		r.refusals.WithLabelValues(a.Code).Inc()
	}
	r.authenticated.count(a.Authentication)
	o := r.operations[a.Operation]
	if o == nil || a.Status < 0 || a.Status >= maxStatus {
		return // impossible: handlers.Operations lists all
	}
	o.statuses[a.Status].Add(1)
	o.seconds.Observe(a.Took.Seconds())
	o.verified.count(a.Verification)
}

// Describe implements prometheus.Collector.
func (r *requests) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsTotal, requestsInFlight, authentications, verifications} {
		to <- d
	}
	r.refusals.Describe(to)
	r.seconds.Describe(to)
}

// Collect implements prometheus.Collector.
func (r *requests) Collect(to chan<- prometheus.Metric) {
	to <- gauge(requestsInFlight, r.inFlight.Load())
	for code, n := range r.authenticated {
		to <- counter(authentications, n.Load(), string(code))
	}
	for name, o := range r.operations {
		for status := range o.statuses {
			if n := o.statuses[status].Load(); n > 0 {
				to <- counter(requestsTotal, n, name, strconv.Itoa(status))
			}
		}
		for code, n := range o.verified {
			to <- counter(verifications, n.Load(), name, string(code))
		}
	}
	r.refusals.Collect(to)
	r.seconds.Collect(to)
}
