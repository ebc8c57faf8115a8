package handlers

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
)

const (
	// maxBodySize is how many bytes of JSON a request may bring.
	maxBodySize = 64 << 10
	// maxDepth is how deep that JSON may nest; the contract needs three levels.
	maxDepth = 16
)

// validatedBody hands what was validated to the generated binder, which looks for
// ValidatedValue: the body is decoded once, and bound as it was checked.
type validatedBody struct {
	io.Reader
	value any
}

// ValidatedValue returns the decoded body.
func (b validatedBody) ValidatedValue() any { return b.value }

// Close does nothing: the server closes the body that it opened.
func (b validatedBody) Close() error { return nil }

// decodeBody reads a JSON body strictly: no duplicate names, no trailing data, no
// invalid UTF-8, bounded in size and depth.
func decodeBody(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := checkContentType(r.Header); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodySize))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, invalidBody("could not be read to its end")
	}
	if len(data) == 0 {
		return nil, invalidBody("is empty; send a JSON object")
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

// deeperThan reports whether value nests more than limit levels.
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

// describeSyntax says what is wrong without quoting the body.
func describeSyntax(err error) string {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return "names a property twice"
	}
	return "must be one well-formed JSON value in UTF-8, with nothing after it and no number out of range"
}

func checkContentType(h http.Header) error {
	const message = "must be application/json"
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return apikey.Invalid("Content-Type", message)
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil || mediaType != "application/json" {
		return apikey.Invalid("Content-Type", message)
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return apikey.Invalid("Content-Type", message+", in UTF-8")
	}
	return nil
}

// refuseBody refuses a body where the contract has none.
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
