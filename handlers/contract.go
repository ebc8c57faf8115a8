package handlers

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"apikeyd/gen"
)

// requiredScope is where the contract says which scope an operation needs.
const requiredScope = "x-required-scope"

// operation is one operation of the contract, ready to check requests against.
type operation struct {
	id    string
	scope string              // the caller's key must hold it
	query openapi3.Parameters // the query parameters it takes
	body  *openapi3.SchemaRef // nil if it takes none
}

// guards returns, for each operation, what a request must pass before its handler:
// authentication, then validation. Denying is the default: an operation without
// security or scope is an error, not an open door.
func (s *Server) guards() (map[string][]echo.MiddlewareFunc, error) {
	contract, err := gen.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded contract: %w", err)
	}
	guards := make(map[string][]echo.MiddlewareFunc)
	for path, item := range contract.Paths.Map() {
		for method, o := range item.Operations() {
			op, err := newOperation(item, o)
			if err != nil {
				return nil, fmt.Errorf("contract: %s %s: %w", method, path, err)
			}
			guards[op.id] = []echo.MiddlewareFunc{s.authenticate(op), validate(op)}
		}
	}
	return guards, nil
}

func newOperation(item *openapi3.PathItem, o *openapi3.Operation) (operation, error) {
	op := operation{id: o.OperationID}
	if o.Security == nil || len(*o.Security) == 0 {
		return op, errors.New("no security")
	}
	scope, ok := o.Extensions[requiredScope].(string)
	if !ok {
		return op, errors.New("no " + requiredScope)
	}
	op.scope = scope
	for _, p := range append(append(openapi3.Parameters{}, item.Parameters...), o.Parameters...) {
		// Path parameters are the handlers' own business: a key that cannot exist is
		// not found, rather than badly asked for.
		if p.Value.In == openapi3.ParameterInQuery {
			op.query = append(op.query, p)
		}
	}
	if o.RequestBody != nil {
		media := o.RequestBody.Value.Content["application/json"]
		if media == nil || !o.RequestBody.Value.Required {
			return op, errors.New("a body that is not required JSON is not implemented")
		}
		op.body = media.Schema
	}
	return op, nil
}

// validate returns the middleware that holds a request against the contract.
func validate(op operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if err := validateQuery(op, r); err != nil {
				return err
			}
			if op.body == nil {
				if err := refuseBody(r); err != nil {
					return err
				}
				return next(c)
			}
			value, err := decodeBody(c.Response(), r)
			if err != nil {
				return err
			}
			if err := validateBody(op, value); err != nil {
				return err
			}
			r.Body = validatedBody{Reader: http.NoBody, value: value}
			return next(c)
		}
	}
}
