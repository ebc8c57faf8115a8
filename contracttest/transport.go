// Package contracttest holds every exchange of a test against openapi.yaml. The full tests do
// it with a validator that is independent of the one in the server (second.go); the quick ones
// with the server's own library, which needs no minutes to compile (first.go). It is for
// tests only.
package contracttest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Contract is openapi.yaml, ready to check exchanges. It is safe for concurrent use.
type Contract struct {
	operations []Operation
	validator  validator
}

// validator says what is wrong with an answer, or with a request that was taken; an empty text
// is nothing. The path of a request has "x" in place of each parameter.
type validator interface {
	answer(o Operation, r *http.Request, answer *http.Response) string
	request(o Operation, r *http.Request) string
}

// Load reads the text of openapi.yaml, which must itself be a valid document.
func Load(text []byte) (*Contract, error) {
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := document.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	v, err := newValidator(text, document)
	return &Contract{operations: operations(document), validator: v}, err
}

// Operation is one operation of the contract.
type Operation struct {
	ID, Method, Path string
	Statuses         []string // documented by number
	Bodiless         []string // those of them that have no content
	Default          bool     // and the rest, as errors
}

// Operations lists the operations of the contract.
func (c *Contract) Operations() []Operation { return slices.Clone(c.operations) }

func operations(document *openapi3.T) []Operation {
	var all []Operation
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			operation := Operation{ID: o.OperationID, Method: method, Path: path}
			for status, response := range o.Responses.Map() {
				if status == "default" {
					operation.Default = true
					continue
				}
				operation.Statuses = append(operation.Statuses, status)
				if len(response.Value.Content) == 0 {
					operation.Bodiless = append(operation.Bodiless, status)
				}
			}
			all = append(all, operation)
		}
	}
	return all
}

// Transport passes exchanges on and fails the test that sees one break the contract.
type Transport struct {
	TB       testing.TB
	Contract *Contract
	Base     http.RoundTripper
	Coverage *Coverage // may be nil
}

// RoundTrip checks each answer of an operation of the contract, and each request that
// the service took for good. What is no operation is passed on unchecked.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := t.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	received, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close() // it is read
	answer.Body = io.NopCloser(bytes.NewReader(received))

	if operation, ok := t.Contract.find(r.Method, requestPath(r)); ok {
		t.Coverage.saw(operation.ID, answer.StatusCode)
		t.check(r, operation, sent, answer, received)
	}
	return answer, nil
}

func (t *Transport) check(r *http.Request, o Operation, sent []byte, answer *http.Response, received []byte) {
	t.TB.Helper()
	status := strconv.Itoa(answer.StatusCode)
	if answer.StatusCode < 400 && !slices.Contains(o.Statuses, status) {
		t.TB.Errorf("%s: status %s is not documented, and default is for errors", o.ID, status)
	}
	if slices.Contains(o.Bodiless, status) && len(received) > 0 { // the validator looks at no such body
		t.TB.Errorf("%s: the answer %s has a body of %d bytes, and the contract none", o.ID, status, len(received))
	}
	replay := func() *http.Request {
		clone := r.Clone(r.Context())
		// The validator splits paths after decoding them; any {key_name} is a string.
		clone.URL.Path, clone.URL.RawPath, clone.URL.Opaque = strings.ReplaceAll(o.Path, "{key_name}", "x"), "", ""
		clone.Body = io.NopCloser(bytes.NewReader(sent))
		if sent == nil {
			clone.Body = http.NoBody
		}
		return clone
	}
	copied := *answer
	copied.Body = io.NopCloser(bytes.NewReader(received))
	if problem := t.Contract.validator.answer(o, replay(), &copied); problem != "" {
		t.TB.Errorf("%s: the answer %d breaks the contract: %s\n%s", o.ID, answer.StatusCode, problem, received)
	}
	if answer.StatusCode >= 300 && answer.StatusCode != http.StatusConflict {
		return // a request that was refused need not be good
	}
	if o.ID == "forwardAuth" {
		return // it is a gateway's client's own request, which is taken as it comes
	}
	if problem := t.Contract.validator.request(o, replay()); problem != "" {
		t.TB.Errorf("%s: the service took a request that breaks the contract: %s\n%s", o.ID, problem, sent)
	}
}

// requestPath is the path as it goes out.
func requestPath(r *http.Request) string {
	if r.URL.Opaque == "" {
		return r.URL.EscapedPath()
	}
	path := r.URL.Opaque
	if rest, found := strings.CutPrefix(path, "//"); found { // it begins with the host
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	path, _, _ = strings.Cut(path, "?")
	return path
}

// find returns the operation that a request means. Methods are case-sensitive
// (RFC 9110, section 9.1).
func (c *Contract) find(method, path string) (Operation, bool) {
	segments := strings.Split(path, "/")
	for _, operation := range c.operations {
		if operation.Method == method && slices.EqualFunc(strings.Split(operation.Path, "/"), segments, matches) {
			return operation, true
		}
	}
	return Operation{}, false
}

// matches reports whether a segment of a path is what the contract has there.
func matches(pattern, segment string) bool {
	return pattern == segment || strings.HasPrefix(pattern, "{") && segment != ""
}
