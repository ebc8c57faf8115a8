package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	"apikeyd/verify"
)

// registerForwardAuth routes every method to forwardAuth, because gateways forward their client's
// method, and also every path below its own, because Envoy appends the client's path.
func registerForwardAuth(e *echo.Echo, contract gen.ServerInterface, guards guards) {
	const path = "/v1/forward-auth"
	wrapper := gen.ServerInterfaceWrapper{Handler: contract}
	guard := guards["forwardAuth"]
	for _, method := range []string{
		http.MethodConnect, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch,
		http.MethodPost, http.MethodPut, http.MethodTrace, echo.PROPFIND, echo.REPORT,
	} {
		e.Add(method, path, wrapper.ForwardAuth, guard...)
	}
	e.Any(path+"/*", wrapper.ForwardAuth, guard...)
	// Methods that Echo does not know.
	e.RouteNotFound(path, wrapper.ForwardAuth, guard...)
	e.RouteNotFound(path+"/*", wrapper.ForwardAuth, guard...)
}

// admit is the guard of forwardAuth: the caller is the gateway's client, and the query names the
// scopes that its key must hold.
func (s *Server) admit(op operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			x := exchangeOf(r.Context())
			x.answer.Operation, x.answer.Route = op.id, op.route
			if s.passesPreflight(c) {
				return nil
			}
			query := readForwardQuery(r.URL.RawQuery)
			if err := s.proveForward(r, c.Response().Header(), x, query); err != nil {
				if x.proxied { // else all the gateway's clients share its address
					err = s.limitAuthFailure(x, query.limitedStatus, err)
				}
				return err
			}
			// The query was read above, and the generated binder would refuse other parameters.
			r.URL.RawQuery = ""
			return next(c)
		}
	}
}

// proveForward authenticates the gateway's client by the key that it sent.
func (s *Server) proveForward(r *http.Request, answer http.Header, x *exchange, query forwardQuery) error {
	secret, err := credential(r, false)
	if err != nil {
		return err
	}
	from := x.clientAddress()
	result, err := s.Verifier.Admit(r.Context(), secret, verify.Call{Scopes: query.want, Cost: query.cost, From: from})
	if err != nil {
		return fmt.Errorf("authenticating the gateway's client: %w", err)
	}
	x.shown = result.Key
	x.answer.Verification = result.Code
	if policies, left := limitHeaders(result); policies != "" {
		answer.Set("RateLimit-Policy", policies)
		answer.Set("RateLimit", left)
	}
	if result.Code == verify.QuotaExceeded || result.Code == verify.RateLimited {
		return &limitError{query.limitedStatus, query.cost, result}
	}
	if query.fault != nil && result.Code == verify.InsufficientScope {
		return query.fault
	}
	return x.enter(result, query.want, from)
}

// ForwardAuth implements the operation forwardAuth for requests that admit lets pass.
func (s *Server) ForwardAuth(
	ctx context.Context, _ gen.ForwardAuthRequestObject,
) (gen.ForwardAuthResponseObject, error) {
	who := callerFrom(ctx)
	return admission{who.key}, nil
}

// identityHeaders say which key a gateway's client has.
var identityHeaders = [...]string{"X-Api-Key-Id", "X-Api-Key-Name", "X-Api-Key-Owner", "X-Api-Key-Scopes"}

// admission is the answer to a valid key. The generated answer formats each header with fmt; avoiding that
// saves 22 % of a forward-auth request (BenchmarkShortcuts).
type admission struct{ key *apikey.Key }

// VisitForwardAuthResponse writes an answer of forwardAuth.
func (a admission) VisitForwardAuthResponse(w http.ResponseWriter) error {
	values := [...]string{
		a.key.ID.String(), url.PathEscape(a.key.Name), url.PathEscape(a.key.Owner), a.key.Scopes.String(),
	}
	header := w.Header()
	for i, name := range identityHeaders {
		header[name] = values[i : i+1 : i+1]
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// forwardQuery is the query of forwardAuth.
type forwardQuery struct {
	want          apikey.Scopes
	fault         error // why no key passes; want then holds a scope that no key has
	limitedStatus int
	cost          int // the highest that was given
}

// readForwardQuery reads apikeyd's own parameters and ignores others: Envoy appends its client's.
// A malformed parameter of ours refuses every key, rather than being ignored.
func readForwardQuery(text string) forwardQuery {
	q := forwardQuery{limitedStatus: http.StatusForbidden, cost: 1}
	if strings.Count(text, "&") >= maxForwardParameters {
		q.refuseAll(errTooManyParameters)
		return q
	}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name)
		switch name {
		case "scope":
			value, err := url.QueryUnescape(value)
			scopes := apikey.ParseScopes(value)
			if err != nil {
				scopes = nil
			}
			q.ask(scopes)
		case "rate_limited":
			if value, _ := url.QueryUnescape(value); value == "429" {
				q.limitedStatus = http.StatusTooManyRequests
			}
		case "cost":
			cost, err := strconv.Atoi(value)
			if err != nil || cost < 1 || cost > apikey.MaxCost {
				q.refuseAll(errCost)
			}
			q.cost = max(q.cost, cost)
		default:
			if misspellsScope(name) {
				q.refuseAll(errMalformedScope)
			}
		}
	}
	return q
}

// maxForwardParameters limits the cost of reading forwardAuth's query.
const maxForwardParameters = 1000

var errTooManyParameters = &apikey.DeniedError{Reason: fmt.Sprintf(
	"the query has more than %d parameters, so no key passes; send fewer", maxForwardParameters)}

var errTooManyScopes = &apikey.DeniedError{Reason: fmt.Sprintf(
	"scope: the query asks for more than %d scopes, which no key can have; ask for fewer", apikey.MaxScopes)}

var errCost = &apikey.DeniedError{Reason: fmt.Sprintf(
	"cost: the query has a cost that is not a whole number from 1 to %d, so no key passes; correct it or leave it out", apikey.MaxCost)}

var errMalformedScope = &apikey.DeniedError{Reason: "scope: the query asks for an empty or malformed scope, or misspells " +
	"the parameter, so no key passes; write scope=SCOPE, or leave scope out to ask for none"}

// ask requires scopes, at least one.
func (q *forwardQuery) ask(scopes apikey.Scopes) {
	if len(scopes) == 0 {
		q.refuseAll(errMalformedScope)
	}
	for _, scope := range scopes {
		switch comma := apikey.CommaFault(scope); {
		case comma != "":
			q.refuseAll(apikey.Invalid("scope", comma))
		case !apikey.IsScope(scope):
			q.refuseAll(errMalformedScope)
		case slices.Contains(q.want, scope):
		case len(q.want) == apikey.MaxScopes:
			q.refuseAll(errTooManyScopes)
			return
		default:
			q.want = append(q.want, scope)
		}
	}
}

// refuseAll requires a scope that no key has. The first fault is reported.
func (q *forwardQuery) refuseAll(fault error) {
	if q.fault == nil {
		q.fault = fault
		q.want = append(q.want, "")
	}
}

// misspellsScope reports whether name is a misspelled scope: in another case, in the plural, as an
// array (scope[], scope[0]), or with escaped separators (scope%3D, &amp;scope). Ignoring it would
// require no scope at all.
func misspellsScope(name string) bool {
	name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "amp;")
	rest, found := strings.CutPrefix(name, "scope")
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "s"))
	return found && (rest == "" || strings.ContainsRune("[=:", rune(rest[0])))
}

// limitError is a 403 or 429: the key or its owner is over a quota or rate limit.
type limitError struct {
	status int
	cost   int
	result verify.Result
}

func (e *limitError) Error() string {
	r := e.result
	if r.Code == verify.QuotaExceeded {
		whose, limit, state := "the API key has", r.Key.Quota, r.LeastQuota()
		if state == r.OwnerQuota {
			whose, limit = "the API key's owner has", r.Owner.Quota
		}
		return fmt.Sprintf("%s %d units left of its quota of %s, and the call costs %d; the next period starts at %s",
			whose, state.Remaining, limit, e.cost, apikey.Timestamp(state.ResetsAt))
	}
	whose, limit := "the API key is", r.Key.RateLimit
	if r.OwnerRateLimit != (ratelimit.State{}) {
		whose, limit = "the API key's owner is", r.Owner.RateLimit
	}
	return fmt.Sprintf("%s over its rate limit of %d calls in %d s; try again in %d s",
		whose, limit.Limit, wholeSeconds(limit.Window), wholeSeconds(r.RetryAfter()))
}

// limitHeaders returns the RateLimit-Policy and RateLimit headers of
// draft-ietf-httpapi-ratelimit-headers-10. They are empty if neither the key nor its owner has limits.
func limitHeaders(r verify.Result) (policies, left string) {
	if r.Key == nil {
		return "", ""
	}
	var policy, rest []string
	add := func(name, limit string, remaining int, reset time.Duration) {
		policy = append(policy, fmt.Sprintf("%q;%s", name, limit))
		rest = append(rest, fmt.Sprintf("%q;r=%d;t=%d", name, remaining, wholeSeconds(reset)))
	}
	addCalls := func(name string, limit apikey.RateLimit, state ratelimit.State) {
		if state != (ratelimit.State{}) {
			add(name, fmt.Sprintf("q=%d;w=%d", limit.Limit, wholeSeconds(limit.Window)), state.Remaining, state.Reset)
		}
	}
	addUnits := func(name string, limit apikey.Quota, state quota.State) {
		if state != (quota.State{}) {
			add(name, fmt.Sprintf("q=%d", limit.Limit), state.Remaining, state.ResetsAt.Sub(r.At))
		}
	}
	addCalls("key", r.Key.RateLimit, r.RateLimit)
	addUnits("quota", r.Key.Quota, r.Quota)
	if r.Owner != nil {
		addCalls("owner", r.Owner.RateLimit, r.OwnerRateLimit)
		addUnits("owner-quota", r.Owner.Quota, r.OwnerQuota)
	}
	return strings.Join(policy, ", "), strings.Join(rest, ", ")
}

// wholeSeconds rounds up, so that a client that waits so long has waited long enough.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
