package apikey

import (
	"errors"
	"strings"
)

// FieldError says which field breaks a rule, and how to fix it. Message completes a sentence that begins
// with the field's name, and never quotes the value.
type FieldError struct {
	Field   string
	Message string
}

// InvalidError lists the invalid fields of a request, at least one.
type InvalidError struct{ Fields []FieldError }

// Error returns a sentence for the caller.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + " " + f.Message
	}
	return strings.Join(parts, "; ")
}

// Invalid returns an *InvalidError about one field.
func Invalid(field, message string) error {
	return &InvalidError{Fields: []FieldError{{Field: field, Message: message}}}
}

// joinInvalid joins several InvalidErrors into one. It returns nil if there are none.
func joinInvalid(errs ...error) error {
	var joined InvalidError
	for _, err := range errs {
		var one *InvalidError
		if errors.As(err, &one) {
			joined.Fields = append(joined.Fields, one.Fields...)
		}
	}
	if len(joined.Fields) == 0 {
		return nil
	}
	return &joined
}

// DeniedError says what the acting key may not do. Reason is a sentence for the key's holder.
type DeniedError struct{ Reason string }

// Error returns the reason.
func (e *DeniedError) Error() string { return e.Reason }
