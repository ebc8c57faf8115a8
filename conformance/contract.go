package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"apikeyd/apikey"
)

// contract checks answers against openapi.yaml.
type contract struct {
	document   *openapi3.T
	operations map[string]operation
	errors     *openapi3.Schema // of all errors, documented or not
}

// operation is one operation of the contract.
type operation struct {
	method, path string
	scope        string // required of the caller's key; empty means none
	public       bool   // works without a key
	media        string // of the request body; empty if there is none
	responses    *openapi3.Responses
	bodies       openapi3.Examples   // of the request
	query        openapi3.Parameters // without those in the path
}

func readContract(text []byte) (*contract, error) {
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	c := &contract{document: document, operations: make(map[string]operation)}
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			op := operation{method: method, path: path, responses: o.Responses}
			op.scope, _ = o.Extensions["x-required-scope"].(string)
			_, op.public = o.Extensions["x-public"]
			if o.RequestBody != nil {
				for op.media = range o.RequestBody.Value.Content { // there is one
				}
				op.bodies = o.RequestBody.Value.Content[op.media].Examples
			}
			for _, p := range o.Parameters {
				if p.Value.In == openapi3.ParameterInQuery {
					op.query = append(op.query, p)
				}
			}
			c.operations[o.OperationID] = op
		}
	}
	schema := document.Components.Schemas["ErrorResponse"]
	if schema == nil {
		return nil, errors.New("the contract: no schema ErrorResponse")
	}
	c.errors = schema.Value
	return c, nil
}

// names returns the ids of the operations in a fixed order.
func (c *contract) names() []string { return slices.Sorted(maps.Keys(c.operations)) }

// formats validate strings in answers, which have one spelling each.
var formats = map[string]openapi3.StringFormatValidator{
	"date-time": openapi3.NewCallbackValidator(checkInstant),
	"uuid": openapi3.NewRegexpFormatValidator(
		`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`),
}

// checkInstant accepts only the spelling that answers use.
func checkInstant(text string) error {
	stamp, err := apikey.ParseTimestamp(text)
	if err != nil || stamp.String() != text {
		return errors.New("is not an RFC 3339 date-time in UTC with milliseconds and Z")
	}
	return nil
}

var requestIDForm = regexp.MustCompile(`^[\x21-\x7E]{8,}$`)

// problems lists everything that is wrong with an answer, whatever the request was, except for the
// headers that all answers lost.
func (c *contract) problems(a answer, lost map[string]bool) []string {
	var found []string
	wrong := headerProblems(a)
	for _, name := range everyAnswer {
		if problem := wrong[name]; problem != "" && !lost[name] {
			found = append(found, problem+a.suspect())
		}
	}
	if a.status >= 500 {
		found = append(found, sprintf("status %d: no request may cause a server error", a.status))
	}
	schema := c.errors
	if op, ok := c.operations[a.operation]; ok {
		var documented bool
		if schema, documented = schemaOf(op.responses, a.status); !documented {
			return append(found, sprintf("status %d is not documented for %s", a.status, a.operation))
		}
	}
	if schema == nil || a.method == http.MethodHead || a.status == http.StatusNoContent {
		if len(a.raw) > 0 {
			found = append(found, sprintf("an unexpected body of %d bytes", len(a.raw)))
		}
		return found
	}
	return append(found, bodyProblems(schema, a)...)
}

// everyAnswer lists the headers of every answer; WWW-Authenticate belongs to 401.
var everyAnswer = [...]string{"X-Request-Id", "Cache-Control", "WWW-Authenticate"}

// headerProblems says what is wrong with the headers of every answer.
func headerProblems(a answer) map[string]string {
	found := make(map[string]string)
	if id := a.header.Get("X-Request-Id"); !requestIDForm.MatchString(id) {
		found["X-Request-Id"] = sprintf("X-Request-Id is %q", id)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		found["Cache-Control"] = sprintf("Cache-Control is %q, want no-store", got)
	}
	if a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
		found["WWW-Authenticate"] = "401 without WWW-Authenticate"
	}
	return found
}

// bodyProblems checks a body against its schema.
func bodyProblems(schema *openapi3.Schema, a answer) []string {
	var found []string
	if media, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || media != "application/json" {
		found = append(found, sprintf("Content-Type is %q, want application/json%s", a.header.Get("Content-Type"), a.suspect()))
	}
	var value any
	if err := json.Unmarshal(a.raw, &value); err != nil {
		return append(found, "the body is not JSON")
	}
	found = append(found, mismatches(schema, value)...)
	if a.status >= 400 {
		found = append(found, errorProblems(a)...)
	}
	return found
}

// errorProblems checks what the schema of errors cannot express.
func errorProblems(a answer) []string {
	var found []string
	if status, _ := a.body["status"].(float64); int(status) != a.status {
		found = append(found, sprintf("the body says status %v", a.body["status"]))
	}
	if message, _ := a.body["message"].(string); strings.TrimSpace(message) == "" {
		found = append(found, "the message is empty")
	}
	if id, ok := a.body["request_id"]; ok && id != a.header.Get("X-Request-Id") && a.header.Get("X-Request-Id") != "" {
		found = append(found, "request_id is not X-Request-Id")
	}
	return found
}

// schemaOf returns the schema of an answer with this status, nil if it has no body, and whether the
// status is documented.
func schemaOf(responses *openapi3.Responses, status int) (*openapi3.Schema, bool) {
	response := responses.Value(strconv.Itoa(status))
	if response == nil && status >= 400 {
		response = responses.Default()
	}
	if response == nil {
		return nil, false
	}
	media := response.Value.Content["application/json"]
	if media == nil {
		return nil, true
	}
	return media.Schema.Value, true
}

// mismatches lists the differences between a value and its schema, including undeclared properties.
func mismatches(schema *openapi3.Schema, value any) []string {
	var found []string
	err := schema.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors(),
		openapi3.DisableSchemaErrorDetails(), openapi3.WithStringFormatValidators(formats))
	for _, one := range flatten(err) {
		found = append(found, one.Error())
	}
	return append(found, undeclared(schema, value, "")...)
}

func flatten(err error) []error {
	var several openapi3.MultiError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		var all []error
		for _, one := range several {
			all = append(all, flatten(one)...)
		}
		return all
	}
	return []error{err}
}

// undeclared lists properties that the schema does not declare.
func undeclared(schema *openapi3.Schema, value any, path string) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		declared := properties(schema)
		for _, name := range slices.Sorted(maps.Keys(value)) {
			switch {
			case declared[name] != nil:
				found = append(found, undeclared(declared[name], value[name], path+"/"+name)...)
			case schema.AdditionalProperties.Schema == nil:
				found = append(found, sprintf("property %s/%s is not in the contract", path, name))
			}
		}
	case []any:
		for i, item := range value {
			if schema.Items != nil {
				found = append(found, undeclared(schema.Items.Value, item, sprintf("%s/%d", path, i))...)
			}
		}
	}
	return found
}

// properties returns the properties that a schema declares, directly or through allOf.
func properties(schema *openapi3.Schema) map[string]*openapi3.Schema {
	all := make(map[string]*openapi3.Schema)
	for name, property := range schema.Properties {
		all[name] = property.Value
	}
	for _, part := range schema.AllOf {
		maps.Copy(all, properties(part.Value))
	}
	return all
}
