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

// These bounds are checked first, so that no request costs more than about ten successful
// verifications, whatever it holds. TestHostileRequests measures that.
const (
	// maxValues limits a body's JSON tokens; a valid body has at most 150.
	maxValues = 1000
	// maxImportValues is maxValues of an import, for which only admins are asked: as many as its rows can have.
	maxImportValues = 20_000
	// maxParameters limits the parameters of a query or a form.
	maxParameters = 100
	// maxMediaType limits a Content-Type, in bytes.
	maxMediaType = 256
	// maxToken limits a string with a format, a pattern or an enum, in bytes, if the contract does not.
	maxToken = 256
)

// tooManyValues reports whether JSON holds more values than most. It stops at a syntax error, which the
// decoder will report.
func tooManyValues(data []byte, most int) bool {
	if len(data) <= most {
		return false
	}
	tokens := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for range most + 1 {
		if _, err := tokens.ReadToken(); err != nil {
			return false
		}
	}
	return true
}

// bound returns value without parts that are larger than the schema allows and without unknown
// properties, and adds a fault for each. The validator would check every item before it counted them,
// and allocate an error for each.
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
	listed := false
	kept := make(map[string]any, min(len(object), len(s.Properties)))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := append(path, name)
		switch property, other := s.Properties[name], s.AdditionalProperties.Schema; {
		case property != nil:
			kept[name] = f.bound(property.Value, at, object[name])
		case other != nil:
			kept[name] = f.bound(other.Value, at, object[name])
		case closed:
			message := "is not a known property"
			if !listed {
				message += "; the known ones are " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
				listed = true
			}
			f.add(fieldName(at), message)
		default:
			kept[name] = object[name]
		}
	}
	return kept
}

// tooLong reports whether a string is longer than its schema allows. Patterns and formats must not
// see such a string.
func tooLong(s *openapi3.Schema, text string) bool {
	if s.MaxLength != nil {
		longest := *s.MaxLength
		return uint64(len(text)) > longest && uint64(utf8.RuneCountInString(text)) > longest //nolint:gosec // G115: counts are not negative
	}
	return len(text) > maxToken && (s.Format != "" || s.Pattern != "" || len(s.Enum) > 0)
}
