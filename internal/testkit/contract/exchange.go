package contracttest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// undeclared are headers of HTTP itself, which contracts do not declare.
var undeclared = []string{"Connection", "Content-Length", "Content-Type", "Date"}

// exchange is a request of an operation, to check it and its answer against the contract.
type exchange struct {
	contract  *Contract
	of        Operation
	sent      []byte
	operation *openapi3.Operation
	input     *openapi3filter.RequestValidationInput
}

func (c *Contract) exchange(of Operation, r *http.Request, sent []byte) exchange {
	item := c.document.Paths.Value(of.Path)
	operation := item.GetOperation(of.Method)
	clone := r.Clone(r.Context())
	clone.Body = io.NopCloser(bytes.NewReader(sent))
	if sent == nil {
		clone.Body = http.NoBody
	}
	return exchange{contract: c, of: of, sent: sent, operation: operation,
		input: &openapi3filter.RequestValidationInput{
			Request:    clone,
			PathParams: map[string]string{"key_name": "x", "owner": "x", "webhook_id": "x", "event_id": "x"}, // any string is valid
			Route: &routers.Route{Spec: c.document, Path: of.Path, PathItem: item, Method: of.Method,
				Operation: operation},
			Options: &openapi3filter.Options{
				AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc, // a request without credentials is valid
				IncludeResponseStatus: true,
				MultiError:            true,
			},
		}}
}

// answer lists what is wrong with an answer.
func (e exchange) answer(answer *http.Response, received []byte) []string {
	var problems []string
	note := func(problem string) {
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	note(describe(openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: e.input, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(bytes.NewReader(received)), Options: e.input.Options,
	})))
	status := strconv.Itoa(answer.StatusCode)
	documented := e.operation.Responses.Value(status)
	if documented == nil {
		status, documented = "default", e.operation.Responses.Default()
	}
	if documented == nil {
		return problems // already reported
	}
	for name := range answer.Header {
		if !slices.Contains(undeclared, name) && !declares(documented.Value.Headers, name) {
			note("the header " + name + " is not declared")
		}
	}
	switch {
	case len(received) == 0:
	case len(documented.Value.Content) == 0:
		note("there is a body, but the contract has none")
	case strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json"):
		note(e.contract.bodies.check(place{e.of.ID, status}, received))
	}
	return problems
}

// declares reports whether a header is declared, ignoring case.
func declares(headers openapi3.Headers, name string) bool {
	for declared := range headers {
		if strings.EqualFold(declared, name) {
			return true
		}
	}
	return false
}

// request lists what is wrong with a request that the service accepted.
func (e exchange) request() []string {
	var problems []string
	if problem := describe(openapi3filter.ValidateRequest(context.Background(), e.input)); problem != "" {
		problems = append(problems, problem)
	}
	declared := slices.Concat(e.operation.Parameters, e.input.Route.PathItem.Parameters)
	for name := range e.input.Request.URL.Query() {
		if declared.GetByInAndName("query", name) == nil {
			problems = append(problems, "the query parameter "+name+" is not declared")
		}
	}
	if len(e.sent) > 0 && e.operation.RequestBody == nil {
		problems = append(problems, "there is a body, but the contract has none")
	}
	if len(e.sent) > 0 && strings.HasPrefix(e.input.Request.Header.Get("Content-Type"), "application/json") {
		if problem := e.contract.bodies.check(place{e.of.ID, request}, e.sent); problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems
}

func describe(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
