package handlers

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"apikeyd/apikey"
)

// maxFields limits the faults that one answer lists.
const maxFields = 20

// formats validates the string formats of the contract. They are an option of each validation, because
// a schema does not know its document's formats.
var formats = map[string]openapi3.StringFormatValidator{
	"date-time": openapi3.NewCallbackValidator(func(value string) error {
		_, err := apikey.ParseTimestamp(value)
		return err
	}),
	"uuid": openapi3.NewCallbackValidator(func(value string) error {
		_, err := apikey.ParseID(value)
		return err
	}),
}

// scopeFormat is the format of a scope in a request. Its pattern refuses commas; apikey's message says
// how to write the scopes instead.
const scopeFormat = "scope-token"

// schemaOptions keep schema and value out of errors: a value may hold a secret, and printing a deeply
// nested one takes seconds.
var schemaOptions = []openapi3.SchemaValidationOption{
	openapi3.VisitAsRequest(),
	openapi3.MultiErrors(),
	openapi3.DisableSchemaErrorDetails(),
	openapi3.WithStringFormatValidators(formats),
}

// validateBody checks a decoded body against its schema.
func validateBody(op operation, value any) error {
	var faults faults
	value = faults.bound(op.body.Value, nil, value)
	if len(faults) == maxFields {
		return faults.err()
	}
	err := op.body.Value.VisitJSON(value, schemaOptions...)
	if err == nil && len(faults) == 0 {
		return nil
	}
	faults.addSchemaErrors(err)
	if len(faults) == 0 {
		return invalidBody("does not match the contract")
	}
	return faults.err()
}

// validateQuery checks the query against the operation's parameters. Each may occur once, unless it is an array,
// and no others may occur.
func validateQuery(op operation, r *http.Request) error {
	if strings.Count(r.URL.RawQuery, "&") >= maxParameters {
		return apikey.Invalid("query", fmt.Sprintf("has more than %d parameters", maxParameters))
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return apikey.Invalid("query", "is not well-formed; percent-encode it")
	}
	var faults faults
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch p := op.query.GetByInAndName(openapi3.ParameterInQuery, name); {
		case p == nil:
			faults.add(name, "is not a query parameter of this operation; leave it out")
		case p.Schema.Value.Type.Is(openapi3.TypeArray):
			faults.addItemErrors(p, query[name])
		case len(query[name]) > 1:
			faults.add(name, "must come once")
		case tooLong(p.Schema.Value, query.Get(name)):
			faults.add(name, describe(p.Schema.Value))
		default:
			faults.addParameterError(p, r, query)
		}
	}
	return faults.err()
}

func (f *faults) addParameterError(p *openapi3.Parameter, r *http.Request, query url.Values) {
	input := &openapi3filter.RequestValidationInput{
		Request:     r,
		QueryParams: query,
		Options: &openapi3filter.Options{
			SkipSettingDefaults:     true,
			SchemaValidationOptions: schemaOptions,
		},
	}
	err := openapi3filter.ValidateParameter(r.Context(), input, p)
	var schemaError *openapi3.SchemaError
	switch {
	case err == nil && !isPlain(p.Schema.Value, query.Get(p.Name)):
		f.add(p.Name, describe(p.Schema.Value))
	case err == nil:
	case errors.As(err, &schemaError) && schemaError.Schema.Format == "date-time":
		f.add(p.Name, remedy(schemaError)+"; in a query a plus sign is %2B")
	case errors.As(err, &schemaError):
		f.add(p.Name, remedy(schemaError))
	default: // not even of the right type
		f.add(p.Name, describe(p.Schema.Value))
	}
}

// addItemErrors checks the items of an array, each of which is a parameter of its own. They are strings with a
// pattern.
func (f *faults) addItemErrors(p *openapi3.Parameter, items []string) {
	array := p.Schema.Value
	item := array.Items.Value
	invalid := func(text string) bool { return tooLong(item, text) || item.VisitJSON(text, schemaOptions...) != nil }
	switch {
	case uint64(len(items)) > *array.MaxItems:
		f.add(p.Name, fmt.Sprintf("must come at most %d times", *array.MaxItems))
	case slices.ContainsFunc(items, invalid):
		f.add(p.Name, fmt.Sprint(item.Extensions["x-pattern-message"]))
	}
}

// isPlain reports whether an integer or boolean has its usual spelling: no plus sign, no leading zeros.
func isPlain(schema *openapi3.Schema, text string) bool {
	switch {
	case schema.Type.Is(openapi3.TypeInteger):
		n, err := strconv.Atoi(text)
		return err == nil && strconv.Itoa(n) == text
	case schema.Type.Is(openapi3.TypeBoolean):
		return text == "true" || text == "false"
	}
	return true
}

// faults collects a request's faults, one message for each field.
type faults []apikey.FieldError

func (f *faults) add(field, message string) {
	const maxLength = 64 // clients can invent long names
	if len(*f) == maxFields {
		return
	}
	field = apikey.Redact(field)
	if field == "" {
		field = `""` // JSON and queries allow empty names
	}
	if runes := []rune(field); len(runes) > maxLength {
		field = string(runes[:maxLength]) + "…"
	}
	same := func(e apikey.FieldError) bool { return e.Field == field }
	if !slices.ContainsFunc(*f, same) {
		*f = append(*f, apikey.FieldError{Field: field, Message: message})
	}
}

func (f *faults) err() error {
	if len(*f) == 0 {
		return nil
	}
	return &apikey.InvalidError{Fields: *f}
}

// addSchemaErrors adds the errors of a schema validation.
func (f *faults) addSchemaErrors(err error) {
	for _, one := range schemaErrors(err) {
		f.add(fieldName(one.JSONPointer()), remedy(one))
	}
}

// schemaErrors lists the errors of a schema validation, however deeply they are wrapped.
func schemaErrors(err error) []*openapi3.SchemaError {
	if several, ok := errors.AsType[openapi3.MultiError](err); ok {
		var all []*openapi3.SchemaError
		for _, err := range several {
			all = append(all, schemaErrors(err)...)
		}
		return all
	}
	if one, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		return []*openapi3.SchemaError{one}
	}
	return nil
}

// fieldName returns a path in the body as text, such as "name" or "scopes.3".
func fieldName(path []string) string {
	if len(path) == 0 {
		return "body"
	}
	return strings.Join(path, ".")
}

// remedy says how to fix a value that its schema refuses.
func remedy(err *openapi3.SchemaError) string {
	switch err.SchemaField {
	case "required":
		return "is required"
	case "uniqueItems":
		return "must not name an item twice"
	case "pattern":
		scope, _ := err.Value.(string)
		if fault := apikey.CommaFault(scope); err.Schema.Format == scopeFormat && fault != "" {
			return fault
		}
		if message, ok := err.Schema.Extensions["x-pattern-message"].(string); ok {
			return message
		}
	}
	return describe(err.Schema)
}

// describe says what a schema requires.
func describe(s *openapi3.Schema) string {
	pattern, hasPattern := s.Extensions["x-pattern-message"].(string)
	switch {
	case len(s.Enum) > 0:
		return "must be one of " + strings.Trim(fmt.Sprint(s.Enum), "[]")
	case hasPattern && s.MaxLength == nil:
		return pattern
	case s.Type.Is(openapi3.TypeString) && s.Format == "date-time":
		return apikey.ErrNotTimestamp.Error()
	case s.Type.Is(openapi3.TypeString) && s.Format == "uuid":
		return "must be an id, such as 0197a1b2-6f00-7c3d-9e4f-5a6b7c8d9e0f"
	case s.Type.Is(openapi3.TypeString) && s.MaxLength != nil:
		return fmt.Sprintf("must be a string of %d to %d characters", s.MinLength, *s.MaxLength)
	case s.Type.Is(openapi3.TypeArray) && s.MaxItems != nil:
		return fmt.Sprintf("must be an array of at most %d items", *s.MaxItems)
	case s.Type.Is(openapi3.TypeInteger) && s.Min != nil && s.Max != nil:
		return fmt.Sprintf("must be a whole number from %.0f to %.0f", *s.Min, *s.Max)
	case s.Type.Is(openapi3.TypeBoolean):
		return "must be true or false"
	case s.Type.Is(openapi3.TypeObject):
		return "must be a JSON object"
	}
	return "must be of type " + strings.Join(s.Type.Slice(), " or ")
}
