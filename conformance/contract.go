package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"apikeyd/apikey"
)

// contract answers what openapi.yaml says of an answer.
type contract struct {
	operations map[string]operation
	errors     *openapi3.Schema // of every error, documented or not
}

// operation is one operation of the contract.
type operation struct {
	method, path string
	scope        string
	takesBody    bool
	responses    *openapi3.Responses
}

func readContract(text []byte) (*contract, error) {
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("the contract: %w", err)
	}
	c := &contract{operations: make(map[string]operation)}
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			scope, _ := o.Extensions["x-required-scope"].(string)
			c.operations[o.OperationID] = operation{
				method: method, path: path, scope: scope, takesBody: o.RequestBody != nil, responses: o.Responses,
			}
		}
	}
	schema := document.Components.Schemas["ErrorResponse"]
	if schema == nil {
		return nil, errors.New("the contract: no schema ErrorResponse")
	}
	c.errors = schema.Value
	return c, nil
}

// names returns the operations in a fixed order.
func (c *contract) names() []string { return slices.Sorted(maps.Keys(c.operations)) }

// formats are those of strings in answers: one spelling each.
var formats = map[string]openapi3.StringFormatValidator{
	"date-time": openapi3.NewCallbackValidator(checkInstant),
	"uuid": openapi3.NewRegexpFormatValidator(
		`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`),
}

// checkInstant wants the one spelling that answers use.
func checkInstant(text string) error {
	stamp, err := apikey.ParseTimestamp(text)
	if err != nil || stamp.String() != text {
		return errors.New("is not an RFC 3339 date-time in UTC with milliseconds and Z")
	}
	return nil
}

var requestIDForm = regexp.MustCompile(`^[\x21-\x7E]{8,}$`)

// problems says what is wrong with an answer, whatever it was asked for.
func (c *contract) problems(operationID string, a answer) []string {
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if a.status >= 500 {
		add("status %d: nothing a client sends may cause that", a.status)
	}
	if media, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || media != "application/json" {
		add("Content-Type is %q, want application/json", a.header.Get("Content-Type"))
	}
	id := a.header.Get("X-Request-Id")
	if !requestIDForm.MatchString(id) {
		add("X-Request-Id is %q", id)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		add("Cache-Control is %q, want no-store", got)
	}
	if a.status == 401 && a.header.Get("WWW-Authenticate") == "" {
		add("401 without WWW-Authenticate")
	}
	schema := c.errors
	if op, ok := c.operations[operationID]; ok {
		var documented bool
		if schema, documented = schemaOf(op.responses, a.status); !documented {
			add("status %d is not documented for %s", a.status, operationID)
			return found
		}
	}
	var value any
	if err := json.Unmarshal(a.raw, &value); err != nil {
		add("the body is not JSON")
		return found
	}
	found = append(found, mismatches(schema, value)...)
	if a.status >= 400 {
		found = append(found, errorProblems(a)...)
	}
	return found
}

// errorProblems checks what the schema of errors cannot say.
func errorProblems(a answer) []string {
	var found []string
	if status, _ := a.body["status"].(float64); int(status) != a.status {
		found = append(found, fmt.Sprintf("the body says status %v", a.body["status"]))
	}
	if message, _ := a.body["message"].(string); strings.TrimSpace(message) == "" {
		found = append(found, "the message is empty")
	}
	if id, ok := a.body["request_id"]; ok && id != a.header.Get("X-Request-Id") {
		found = append(found, "request_id is not X-Request-Id")
	}
	return found
}

// schemaOf finds what an answer of this status looks like.
func schemaOf(responses *openapi3.Responses, status int) (*openapi3.Schema, bool) {
	response := responses.Value(strconv.Itoa(status))
	if response == nil && status >= 400 {
		response = responses.Default()
	}
	if response == nil {
		return nil, false
	}
	media := response.Value.Content["application/json"]
	return media.Schema.Value, true
}

// mismatches says where a value differs from its schema. A property that the schema
// does not declare is a difference.
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

// undeclared names the properties that no schema declares.
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
				found = append(found, fmt.Sprintf("property %s/%s is not in the contract", path, name))
			}
		}
	case []any:
		for i, item := range value {
			if schema.Items != nil {
				found = append(found, undeclared(schema.Items.Value, item, fmt.Sprintf("%s/%d", path, i))...)
			}
		}
	}
	return found
}

// properties returns what a schema declares, itself and by allOf.
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
