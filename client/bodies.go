package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

const jsonType = "application/json"

// encode returns a body that can be sent again. It rejects text that is not valid UTF-8, which
// encoding/json would silently replace.
func encode(body any) (io.Reader, error) {
	fields := reflect.ValueOf(body)
	for _, field := range reflect.VisibleFields(fields.Type()) {
		if !field.Anonymous && !validText(fields.FieldByIndex(field.Index)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			return nil, fmt.Errorf("apikeyd: %s is not valid UTF-8", name)
		}
	}
	text, err := json.Marshal(body)
	if e, ok := errors.AsType[*json.MarshalerError](err); ok {
		err = e.Err // its text names no Go types
	}
	if err != nil {
		return nil, unsendable(err)
	}
	return bytes.NewReader(text), nil
}

// validText reports whether all text in a value is valid UTF-8.
func validText(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer:
		return v.IsNil() || validText(v.Elem())
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() && !validText(value) {
				return false
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if !validText(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			if !validText(key) || !validText(value) {
				return false
			}
		}
	}
	return true
}
