package contracttest

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Transport checks exchanges and fails the test if one breaks the contract.
type Transport struct {
	TB       testing.TB
	Contract *Contract
	Base     http.RoundTripper
	Coverage *Coverage // may be nil
}

// RoundTrip checks each answer of the contract's operations, and each request that the service
// accepted. Other exchanges are not checked.
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
	_ = answer.Body.Close() // already read
	answer.Body = io.NopCloser(bytes.NewReader(received))

	if operation, ok := t.Contract.find(cmp.Or(r.Method, http.MethodGet), requestPath(r)); ok {
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
	e := t.Contract.exchange(o, r, sent)
	for _, problem := range e.answer(answer, received) {
		t.TB.Errorf("%s: the answer %s breaks the contract: %s\n%s", o.ID, status, problem, received)
	}
	if answer.StatusCode >= 300 && answer.StatusCode != http.StatusConflict {
		return // a refused request need not be valid
	}
	if o.ID == "forwardAuth" {
		return // the request is that of a gateway's client, and may be anything
	}
	for _, problem := range e.request() {
		t.TB.Errorf("%s: the service accepted a request that breaks the contract: %s\n%s", o.ID, problem, sent)
	}
}

// requestPath returns the path as it is sent.
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

// find returns the operation of a request. Methods are case-sensitive (RFC 9110, section 9.1).
func (c *Contract) find(method, path string) (Operation, bool) {
	segments := strings.Split(path, "/")
	for _, operation := range c.operations {
		if operation.Method == method && slices.EqualFunc(strings.Split(operation.Path, "/"), segments, matches) {
			return operation, true
		}
	}
	return Operation{}, false
}

// matches reports whether a segment of a path matches the contract's.
func matches(pattern, segment string) bool {
	return pattern == segment || strings.HasPrefix(pattern, "{") && segment != ""
}
