package handlers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
)

const (
	// maxBodySize limits a request's body, in bytes.
	maxBodySize = 64 << 10
	// maxPromised limits the memory allocated on the word of Content-Length alone.
	maxPromised = 4 << 10
	// maxDepth limits the nesting of JSON; the contract needs three levels.
	maxDepth = 16
)

// validatedBody passes the validated value to the generated binder, which calls ValidatedValue. So the
// body is decoded once, and the binder binds exactly the value that was validated.
type validatedBody struct {
	io.Reader
	value any
}

// ValidatedValue returns the decoded body.
func (b validatedBody) ValidatedValue() any { return withIntegers(b.value) }

// withIntegers replaces whole numbers of an object. The binder writes a float64 such as 1000000 as 1e+06,
// which it cannot read as an integer.
func withIntegers(value any) any {
	object, _ := value.(map[string]any)
	for name, member := range object {
		if n, ok := member.(float64); ok && n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			object[name] = int64(n)
		}
	}
	return value
}

// Close does nothing: the server closes the original body.
func (b validatedBody) Close() error { return nil }

// decodeBody reads and decodes an operation's body.
func decodeBody(op operation, w http.ResponseWriter, r *http.Request) (validatedBody, error) {
	if op.optional && isEmpty(r) {
		return validatedBody{Reader: http.NoBody, value: map[string]any{}}, nil
	}
	if isEncoded(r.Header) {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 15.5.16
		return validatedBody{}, errBodyEncoded
	}
	if err := checkContentType(r.Header, op.media); err != nil {
		return validatedBody{}, err
	}
	data, err := readBody(w, r)
	if err != nil {
		return validatedBody{}, err
	}
	if op.media == formMedia {
		// The generated binder reads the form itself.
		value, err := decodeForm(string(data))
		return validatedBody{Reader: bytes.NewReader(data), value: value}, err
	}
	value, err := decodeJSON(data, op.maxValues())
	return validatedBody{Reader: http.NoBody, value: value}, err
}

// errBodyEncoded refuses a compressed body: a small one can become a large one.
var errBodyEncoded = errors.New("the body has a Content-Encoding, such as gzip; send it uncompressed")

// isEncoded reports whether a body has a content coding other than identity.
func isEncoded(h http.Header) bool {
	return slices.ContainsFunc(h["Content-Encoding"], func(coding string) bool {
		return coding != "" && !strings.EqualFold(coding, "identity")
	})
}

// isEmpty reports whether a request has no body. A body of unknown length may be empty: proxies send
// one for a request without a body.
func isEmpty(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength == 0
	}
	body := bufio.NewReader(r.Body)
	_, err := body.Peek(1)
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return errors.Is(err, io.EOF)
}

// readBody reads a whole body of at most maxBodySize.
func readBody(w http.ResponseWriter, r *http.Request) (data []byte, err error) {
	if n := r.ContentLength; n >= 0 && n <= maxPromised {
		data = make([]byte, n)
		_, err = io.ReadFull(r.Body, data)
	} else {
		data, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodySize))
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, invalidBody("could not be read completely")
	}
	return data, nil
}

// decodeJSON decodes strictly: it refuses duplicate names, trailing data, invalid UTF-8, deep nesting, and more values
// than most.
func decodeJSON(data []byte, most int) (any, error) {
	if len(data) == 0 {
		return nil, invalidBody("is empty; send a JSON object")
	}
	if tooManyValues(data, most) { // before it is decoded
		return nil, invalidBody(fmt.Sprintf("holds more than %d values", most))
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, invalidBody(describeSyntax(err))
	}
	if deeperThan(maxDepth, value) {
		return nil, invalidBody(fmt.Sprintf("nests deeper than %d levels", maxDepth))
	}
	return value, nil
}

// decodeForm turns a form into an object. Parameters without a value count as absent, and none may
// occur twice (RFC 6749, section 3.2).
func decodeForm(text string) (any, error) {
	if strings.Count(text, "&") >= maxParameters {
		return nil, invalidBody(fmt.Sprintf("has more than %d fields", maxParameters))
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, invalidBody("must be a well-formed form; percent-encode it")
	}
	value := make(map[string]any)
	for name, values := range form {
		if len(values) > 1 {
			var repeated faults
			repeated.add(name, "must come once")
			return nil, repeated.err()
		}
		if values[0] != "" {
			value[name] = values[0]
		}
	}
	return value, nil
}

// deeperThan reports whether value nests deeper than limit levels.
func deeperThan(limit int, value any) bool {
	deeper := func(child any) bool { return deeperThan(limit-1, child) }
	switch value := value.(type) {
	case []any:
		return limit == 0 || slices.ContainsFunc(value, deeper)
	case map[string]any:
		for _, child := range value {
			if deeper(child) {
				return true
			}
		}
		return limit == 0
	}
	return false
}

// describeSyntax describes a syntax error without quoting the body.
func describeSyntax(err error) string {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return "names a property twice"
	}
	return "must be one well-formed JSON value in UTF-8, with nothing after it and no number out of range"
}

func checkContentType(h http.Header, want string) error {
	message := "must be " + want
	values := h.Values("Content-Type")
	if len(values) != 1 || len(values[0]) > maxMediaType {
		return apikey.Invalid("Content-Type", message)
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil || mediaType != want {
		return apikey.Invalid("Content-Type", message)
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return apikey.Invalid("Content-Type", message+", in UTF-8")
	}
	return nil
}

// refuseBody refuses a body if there is one: the operation has none.
func refuseBody(r *http.Request) error {
	if r.Body == http.NoBody {
		return nil
	}
	if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n > 0 {
		return invalidBody("must be empty: this operation takes none")
	}
	return nil
}

func invalidBody(message string) error { return apikey.Invalid("body", message) }
