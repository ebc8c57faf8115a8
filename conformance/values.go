package conformance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// sprintf is fmt.Sprintf for values of answers: they look as in JSON, and an absent one is "nothing",
// whatever the verb: no finding has %!q(<nil>) or map[] in it.
func sprintf(format string, args ...any) string {
	for i, arg := range args {
		_, bytes := arg.([]byte)
		switch kind := reflect.ValueOf(arg).Kind(); {
		case kind == reflect.Invalid, kind == reflect.Map, kind == reflect.Float64, kind == reflect.Slice && !bytes:
			args[i] = shown{arg}
		}
	}
	return fmt.Sprintf(format, args...)
}

// shown is a value from JSON.
type shown struct{ value any }

// Format implements fmt.Formatter. A precision limits the characters.
func (s shown) Format(f fmt.State, _ rune) {
	switch value := reflect.ValueOf(s.value); {
	case !value.IsValid(), value.Kind() == reflect.Map && value.IsNil():
		fmt.Fprint(f, "nothing")
		return
	case value.Kind() == reflect.Slice && value.IsNil():
		fmt.Fprint(f, "[]")
		return
	}
	text, _ := json.Marshal(s.value) // it came from JSON
	if most, limited := f.Precision(); limited && utf8.RuneCount(text) > most {
		text = []byte(string([]rune(string(text))[:most]) + "…")
	}
	_, _ = f.Write(text) // a fmt.State has no errors
}

// after puts a text after a separator, unless it is empty.
func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

// text returns a JSON string, or "" for other values.
func text(value any) string {
	text, _ := value.(string)
	return text
}

// list returns a JSON array, or nil for other values.
func list(value any) []any {
	items, _ := value.([]any)
	return items
}

// object returns a JSON object, or nil for other values.
func object(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}
