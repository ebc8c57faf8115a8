package contracttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// bodies are the schemas of the JSON bodies of a contract.
type bodies map[place]*jsonschema.Schema

// place is the body of an operation's request, or of its answer with a documented status.
type place struct{ operation, status string }

const request = "request" // in place of a status

// newBodies compiles the schemas of a document as JSON Schema 2020-12, which can reject undeclared
// properties of composed schemas too.
func newBodies(document *openapi3.T) (bodies, error) {
	components := make(map[string]any)
	for name, schema := range document.Components.Schemas {
		translated, err := translate(schema.Value)
		if err != nil {
			return nil, err
		}
		components[name] = translated
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiled := make(bodies)
	for at, content := range contents(document) {
		media := content.Get("application/json")
		if media == nil {
			continue
		}
		schema, err := translate(media.Schema)
		if err != nil {
			return nil, err
		}
		schema["unevaluatedProperties"] = false
		schema["components"] = map[string]any{"schemas": components}
		url := "https://contract.invalid/" + at.operation + "/" + at.status
		if err := compiler.AddResource(url, schema); err != nil {
			return nil, err
		}
		if compiled[at], err = compiler.Compile(url); err != nil {
			return nil, err
		}
	}
	return compiled, nil
}

func contents(document *openapi3.T) map[place]openapi3.Content {
	all := make(map[place]openapi3.Content)
	for _, item := range document.Paths.Map() {
		for _, o := range item.Operations() {
			if o.RequestBody != nil {
				all[place{o.OperationID, request}] = o.RequestBody.Value.Content
			}
			for status, response := range o.Responses.Map() {
				all[place{o.OperationID, status}] = response.Value.Content
			}
		}
	}
	return all
}

// translate turns an OpenAPI 3.0 schema into a JSON schema.
func translate(schema json.Marshaler) (map[string]any, error) {
	text, err := schema.MarshalJSON()
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	translated, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not a schema: %s", text)
	}
	tighten(translated)
	return translated, nil
}

// tighten makes undeclared properties an error in all nested schemas. The parts of an allOf stay open,
// because each declares only some properties; the schema around them is closed instead.
func tighten(schema map[string]any) {
	if schema["nullable"] == true {
		schema["type"] = []any{schema["type"], "null"}
	}
	var within []any
	if properties, ok := schema["properties"].(map[string]any); ok {
		for _, property := range properties {
			within = append(within, property)
		}
	}
	for _, inner := range append(within, schema["items"], schema["additionalProperties"]) {
		if inner, ok := inner.(map[string]any); ok {
			tighten(inner)
			inner["unevaluatedProperties"] = false
		}
	}
	parts, _ := schema["allOf"].([]any)
	for _, part := range parts {
		if part, ok := part.(map[string]any); ok {
			tighten(part)
		}
	}
}

// check returns what is wrong with a body, or nothing.
func (b bodies) check(at place, body []byte) string {
	schema := b[at]
	if schema == nil {
		return ""
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(value)
	}
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		var all []string
		for _, unit := range invalid.BasicOutput().Errors {
			if unit.Error != nil {
				all = append(all, unit.InstanceLocation+": "+unit.Error.String())
			}
		}
		return strings.Join(all, "; ")
	}
	return describe(err)
}
