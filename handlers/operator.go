package handlers

import (
	"context"
	"net/http"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/inprocess"
)

// OperatorOwner is the owner whose keys the operator means if a request names none.
const OperatorOwner = "admin"

// operator carries calls to the handlers as whoever holds the database itself.
type operator struct {
	api    http.Handler
	caller caller
}

// NewOperator returns a transport for an HTTP client in this process that acts as the operator:
// it may do everything, and the audit log names the operator and the command. It is no handler,
// so that nobody can serve it to others. Where a server would answer that it failed, the call
// fails with the cause: there is no log to look it up in.
//
// Requests are not held against the contract, which takes longer to read than all else that a
// command does. The rules of keys hold as for everybody.
func NewOperator(c Config, command string) http.RoundTripper {
	s := newServer(c)
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
	if x.problem.status >= http.StatusInternalServerError {
		return nil, x.err
	}
	return answer, err
}
