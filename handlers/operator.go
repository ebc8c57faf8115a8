package handlers

import (
	"context"
	"net/http"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/inprocess"
)

// OperatorOwner is the owner of the operator's requests that name none.
const OperatorOwner = "admin"

// operator is a transport that calls the handlers directly.
type operator struct {
	api    http.Handler
	caller caller
}

// NewOperator returns a transport for an HTTP client in this process that acts as the operator, who
// has direct access to the database. The operator may do everything, and the audit log names the
// operator and the command. A transport, unlike a handler, cannot be served to others by mistake.
// Where a server would answer 5xx, the call returns the cause as its error.
//
// Requests are not validated against the contract: reading it would take longer than the rest of a
// command. The rules for keys apply as usual.
func NewOperator(c Config, command string) http.RoundTripper {
	s := newServer(c)
	s.leakReports.limit = apikey.RateLimit{} // the operator guesses no secrets
	e := s.newEcho(recoverPanics())
	gen.RegisterHandlers(e, gen.NewStrictHandler(s, []gen.StrictMiddlewareFunc{requireCaller}))
	return operator{api: e, caller: caller{
		key:     &apikey.Key{Settings: apikey.Settings{Owner: OperatorOwner, Scopes: apikey.Scopes{apikey.ScopeAdmin}}},
		command: command,
	}}
}

// RoundTrip implements http.RoundTripper.
func (o operator) RoundTrip(r *http.Request) (*http.Response, error) {
	x := &exchange{Context: r.Context(), caller: o.caller, called: true}
	answer, err := inprocess.Serve(o.api, r.WithContext(context.WithValue(x.Context, exchangeKey{}, x)))
	if !x.problem.isRefusal() {
		return nil, x.err
	}
	return answer, err
}
