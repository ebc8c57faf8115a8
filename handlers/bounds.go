package handlers

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
)

// These bounds are looked at first, so that no request costs more than about ten good
// verifications, whatever it holds. TestHostileRequests measures it.
const (
	// maxValues is how many values, names and ends of objects and arrays a body may hold; what
	// the contract takes has at most 150.
	maxValues = 1000
	// maxParameters is how many parameters a query or a form may have.
	maxParameters = 100
	// maxMediaType is how long a Content-Type may be in bytes.
	maxMediaType = 256
	// maxToken is how long a string with a format, a pattern or fixed values may be in bytes if
	// the contract does not say.
	maxToken = 256
)

// errTooManyValues refuses a body before it is decoded.
var errTooManyValues = invalidBody(fmt.Sprintf("holds more than %d values", maxValues))

// tooManyValues reports whether JSON holds more values than may be decoded. What is not
// well-formed ends there: the decoder says so again.
func tooManyValues(data []byte) bool {
	if len(data) <= maxValues {
		return false
	}
	tokens := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for range maxValues + 1 {
		if _, err := tokens.ReadToken(); err != nil {
			return false
		}
	}
	return true
}

// bound returns value without what is larger than its schema allows, and without unknown
// properties, each of which is a fault: the validator would look at every item before it
// counted them, and make an error of each.
func (f *faults) bound(s *openapi3.Schema, path []string, value any) any {
	if len(*f) == maxFields {
		return nil
	}
	switch value := value.(type) {
	case string:
		if tooLong(s, value) {
			f.add(fieldName(path), describe(s))
			return ""
		}
	case []any:
		return f.boundArray(s, path, value)
	case map[string]any:
		return f.boundObject(s, path, value)
	}
	return value
}

func (f *faults) boundArray(s *openapi3.Schema, path []string, items []any) any {
	if s.MaxItems != nil && uint64(len(items)) > *s.MaxItems {
		f.add(fieldName(path), describe(s))
		return []any{}
	}
	if s.Items == nil {
		return items
	}
	kept := make([]any, len(items))
	for i, item := range items {
		kept[i] = f.bound(s.Items.Value, append(path, strconv.Itoa(i)), item)
	}
	return kept
}

func (f *faults) boundObject(s *openapi3.Schema, path []string, object map[string]any) any {
	if s.MaxProps != nil && uint64(len(object)) > *s.MaxProps {
		f.add(fieldName(path), fmt.Sprintf("must have at most %d entries", *s.MaxProps))
		return map[string]any{}
	}
	closed := s.AdditionalProperties.Has != nil && !*s.AdditionalProperties.Has
	told := false
	kept := make(map[string]any, min(len(object), len(s.Properties)))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := append(path, name)
		switch property, other := s.Properties[name], s.AdditionalProperties.Schema; {
		case property != nil:
			kept[name] = f.bound(property.Value, at, object[name])
		case other != nil:
			kept[name] = f.bound(other.Value, at, object[name])
		case closed:
			message := "is not known here"
			if !told {
				message += "; known are " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
				told = true
			}
			f.add(fieldName(at), message)
		default:
			kept[name] = object[name]
		}
	}
	return kept
}

// tooLong reports whether a string is longer than its schema allows. Its patterns and formats
// are not to look at it then.
func tooLong(s *openapi3.Schema, text string) bool {
	if s.MaxLength != nil {
		longest := *s.MaxLength
		return uint64(len(text)) > longest && uint64(utf8.RuneCountInString(text)) > longest //nolint:gosec // G115: counts are not negative
	}
	return len(text) > maxToken && (s.Format != "" || s.Pattern != "" || len(s.Enum) > 0)
}
