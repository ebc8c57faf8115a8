package handlers_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// answerParts names the headers and fixed values of answers. Those of a shared component have its
// name: "Unauthorized WWW-Authenticate", "ApiKeyStatus=ACTIVE".
func answerParts(document *openapi3.T) map[string]bool {
	parts := map[string]bool{}
	for _, item := range document.Paths.Map() {
		for _, o := range item.Operations() {
			for status, response := range o.Responses.Map() {
				name := responseName(o, status, response)
				for header := range response.Value.Headers {
					parts[name+" "+header] = true
				}
				for _, media := range response.Value.Content {
					addValues(parts, name, media.Schema, nil)
				}
			}
		}
	}
	return parts
}

func responseName(o *openapi3.Operation, status string, response *openapi3.ResponseRef) string {
	if response.Ref != "" {
		return response.Ref[strings.LastIndex(response.Ref, "/")+1:]
	}
	return o.OperationID + " " + status
}

// addValues notes the fixed values of a schema; with a value that has this schema, those that
// stand in it.
func addValues(parts map[string]bool, name string, schema *openapi3.SchemaRef, in any) {
	if schema.Ref != "" {
		name = schema.Ref[strings.LastIndex(schema.Ref, "/")+1:]
	}
	for _, value := range schema.Value.Enum {
		if in == nil || in == value {
			parts[fmt.Sprint(name, "=", value)] = true
		}
	}
	object, _ := in.(map[string]any)
	for property, inner := range schema.Value.Properties {
		if value, there := object[property]; there || in == nil {
			addValues(parts, name+"."+property, inner, value)
		}
	}
	for _, part := range schema.Value.AllOf {
		addValues(parts, name, part, in)
	}
	if schema.Value.Items == nil {
		return
	}
	if in == nil {
		addValues(parts, name, schema.Value.Items, nil)
	}
	list, _ := in.([]any)
	for _, item := range list {
		addValues(parts, name, schema.Value.Items, item)
	}
}

// exchanges are the answers of a run. They are safe for concurrent use.
type exchanges struct {
	mu  sync.Mutex
	all []exchanged
}

type exchanged struct {
	method, path string
	status       int
	header       http.Header
	body         any
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (e *exchanges) recording(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		path, _, _ := strings.Cut(r.URL.Opaque, "?")
		answer, err := base.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close() // it is read
		answer.Body = io.NopCloser(bytes.NewReader(raw))
		one := exchanged{method: cmp.Or(r.Method, http.MethodGet), path: path, status: answer.StatusCode, header: answer.Header}
		_ = json.Unmarshal(raw, &one.body) // an empty body stays nil
		e.mu.Lock()
		defer e.mu.Unlock()
		e.all = append(e.all, one)
		return answer, err
	})
}

// parts are the parts of a contract that the answers have.
func (e *exchanges) parts(document *openapi3.T) map[string]bool {
	seen := map[string]bool{}
	for _, one := range e.all {
		o := operationOf(document, one)
		if o == nil {
			continue
		}
		status := strconv.Itoa(one.status)
		response := o.Responses.Value(status)
		if response == nil {
			status, response = "default", o.Responses.Default()
		}
		name := responseName(o, status, response)
		for header := range response.Value.Headers {
			if len(one.header.Values(header)) > 0 {
				seen[name+" "+header] = true
			}
		}
		if media := response.Value.Content["application/json"]; media != nil && one.body != nil {
			addValues(seen, name, media.Schema, one.body)
		}
	}
	return seen
}

func operationOf(document *openapi3.T, one exchanged) *openapi3.Operation {
	segments := strings.Split(one.path, "/")
	for path, item := range document.Paths.Map() {
		template := strings.Split(path, "/")
		same := len(template) == len(segments)
		for i := range template {
			same = same && (template[i] == segments[i] || strings.HasPrefix(template[i], "{"))
		}
		if same {
			return item.GetOperation(one.method)
		}
	}
	return nil
}
