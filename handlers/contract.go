package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"apikeyd/apikey"
	"apikeyd/gen"
)

const (
	// requiredScope is the extension with the scope that an operation requires; "" requires none.
	requiredScope = "x-required-scope"
	// public is the extension that says why an operation needs no key.
	public = "x-public"

	jsonMedia = "application/json"
	formMedia = "application/x-www-form-urlencoded"
)

// operation is an operation of the contract, prepared for checking requests.
type operation struct {
	id       string
	route    string              // path in the contract
	public   bool                // needs no key
	scope    string              // required of the caller's key; "" requires none
	changes  bool                // changes a key or an owner
	basic    bool                // accepts HTTP Basic too
	query    openapi3.Parameters // its query parameters
	body     *openapi3.SchemaRef // nil if it has none
	media    string              // media type of the body
	optional bool                // the body may be absent
}

// guards holds each operation's middleware: the checks before its handler.
type guards map[string][]echo.MiddlewareFunc

// contract is parsed once: no Server changes it, and parsing takes longer than the rest of New.
var contract = sync.OnceValues(func() (*openapi3.T, error) {
	spec, err := gen.GetSpec()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Name", "Owner"} {
		spec.Components.Schemas[name].Value.Pattern = noControls
	}
	for _, schema := range spec.Components.Schemas {
		for name, property := range schema.Value.Properties {
			schema.Value.Properties[name] = plainProperty(property)
		}
	}
	return spec, nil
})

// noControls is as much of the pattern of names as validation looks at. Package apikey checks the
// rest, with a message for each rule and together with the other fields.
const noControls = `^[^\x00-\x1F\x7F-\x9F]+$`

// plainProperty returns the one schema that a property is allOf. Generators look for "nullable"
// at the property, and OpenAPI 3.0 allows nothing next to a $ref; validation needs neither.
func plainProperty(property *openapi3.SchemaRef) *openapi3.SchemaRef {
	s := property.Value
	if len(s.AllOf) == 1 && len(s.Properties) == 0 && s.Nullable == s.AllOf[0].Value.Nullable {
		return s.AllOf[0]
	}
	return property
}

// newGuards makes the guards of each operation: authentication, then validation. An operation without
// security or scope is an error, not public.
func (s *Server) newGuards() (guards, error) {
	spec, err := contract()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded contract: %w", err)
	}
	all := make(guards)
	for path, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			op, err := newOperation(item, o)
			if err != nil {
				return nil, fmt.Errorf("contract: %s %s: %w", method, path, err)
			}
			op.route, op.changes = path, op.scope == apikey.ScopeWrite || op.scope == apikey.ScopeAdmin && method != http.MethodGet
			all[op.id] = s.guard(op)
		}
	}
	return all, nil
}

func (s *Server) guard(op operation) []echo.MiddlewareFunc {
	switch {
	case op.id == signedOperation:
		return []echo.MiddlewareFunc{welcome(op), s.requireSignature, validate(op)}
	case op.public:
		return []echo.MiddlewareFunc{welcome(op), s.limitBadRequests, validate(op)}
	case op.id == "forwardAuth":
		// A gateway forwards its client's request, which need not match the contract.
		return []echo.MiddlewareFunc{s.admit(op)}
	case op.id == "verifyApiKey":
		return []echo.MiddlewareFunc{s.authenticate(op), s.verifyPlainly, validate(op)}
	case listing[op.id]:
		return []echo.MiddlewareFunc{s.authenticate(op), validate(op), s.pages.bound}
	}
	return []echo.MiddlewareFunc{s.authenticate(op), validate(op)}
}

func newOperation(item *openapi3.PathItem, o *openapi3.Operation) (operation, error) {
	op := operation{id: o.OperationID}
	if err := op.readSecurity(o); err != nil {
		return op, err
	}
	for _, p := range append(append(openapi3.Parameters{}, item.Parameters...), o.Parameters...) {
		// Handlers check path parameters: an impossible key is a 404, not a 400.
		if p.Value.In == openapi3.ParameterInQuery {
			op.query = append(op.query, p)
		}
	}
	return op, op.readBody(o)
}

// maxValues limits the JSON tokens of the operation's body.
func (op *operation) maxValues() int {
	switch op.id {
	case "importApiKeys":
		return maxImportValues
	case signedOperation:
		return maxSignedValues
	}
	return maxValues
}

func (op *operation) readSecurity(o *openapi3.Operation) error {
	why, isPublic := o.Extensions[public].(string)
	secured := o.Security != nil && len(*o.Security) > 0
	if isPublic && why != "" && !secured {
		op.public = true
		return nil
	}
	if !secured {
		return errors.New("no security, and no " + public)
	}
	for _, requirement := range *o.Security {
		if _, ok := requirement["BasicAuth"]; ok {
			op.basic = true
		}
	}
	var ok bool
	if op.scope, ok = o.Extensions[requiredScope].(string); !ok {
		return errors.New("no " + requiredScope)
	}
	return nil
}

func (op *operation) readBody(o *openapi3.Operation) error {
	if o.RequestBody == nil {
		return nil
	}
	content := o.RequestBody.Value.Content
	for _, op.media = range []string{jsonMedia, formMedia} {
		if media := content[op.media]; media != nil && len(content) == 1 {
			op.body, op.optional = media.Schema, !o.RequestBody.Value.Required
			return nil
		}
	}
	return errors.New("a body that is neither JSON nor a form is not implemented")
}

// wants returns the scopes that the operation requires.
func (op operation) wants() apikey.Scopes {
	if op.scope == "" {
		return nil
	}
	return apikey.Scopes{op.scope}
}

// validate returns the middleware that checks requests against the contract.
func validate(op operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if slices.Contains(c.ParamValues(), "") {
				return echo.ErrNotFound // the router accepts an empty parameter: two slashes in a row
			}
			if err := validateQuery(op, r); err != nil {
				return err
			}
			if op.body == nil {
				if err := refuseBody(r); err != nil {
					return err
				}
				return next(c)
			}
			body, err := decodeBody(op, c.Response(), r)
			if err != nil {
				return err
			}
			if err := validateBody(op, body.value); err != nil {
				return err
			}
			r.Body = body
			return next(c)
		}
	}
}
