//go:build !full

package contracttest

import (
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// independent says whether the validator shares nothing with the server.
const independent = false

// first is the library that the server uses. It does not notice what the contract does not
// declare in an answer.
type first struct{ document *openapi3.T }

func newValidator(_ []byte, document *openapi3.T) (validator, error) {
	return first{document}, nil
}

func (f first) answer(o Operation, r *http.Request, answer *http.Response) string {
	return describe(openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: f.input(o, r), Status: answer.StatusCode, Header: answer.Header, Body: answer.Body,
		Options: f.options(),
	}))
}

func (f first) request(o Operation, r *http.Request) string {
	return describe(openapi3filter.ValidateRequest(r.Context(), f.input(o, r)))
}

func (f first) input(o Operation, r *http.Request) *openapi3filter.RequestValidationInput {
	item := f.document.Paths.Value(o.Path)
	input := &openapi3filter.RequestValidationInput{
		Request: r, Options: f.options(),
		Route: &routers.Route{Spec: f.document, Path: o.Path, PathItem: item, Method: o.Method, Operation: item.GetOperation(o.Method)},
	}
	if strings.Contains(o.Path, "{key_name}") {
		input.PathParams = map[string]string{"key_name": "x"}
	}
	return input
}

func (f first) options() *openapi3filter.Options {
	return &openapi3filter.Options{
		AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc, // a refusal for want of credentials is a good answer
		IncludeResponseStatus: true,
	}
}

func describe(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
