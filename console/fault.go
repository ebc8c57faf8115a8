package console

import (
	"errors"
	"net/http"
	"strings"

	"apikeyd/client"
)

// fault is what is wrong with one field of a form.
type fault struct {
	Field   string // as the form calls it
	Label   string // as the page does
	Message string
}

// faults are those of a form.
type faults []fault

func (f *faults) add(field, message string) {
	if f.Of(field) == "" {
		*f = append(*f, fault{field, formFields[field], message})
	}
}

// Of returns what is wrong with a field, or nothing.
func (f faults) Of(field string) string {
	for _, one := range f {
		if one.Field == field {
			return one.Message
		}
	}
	return ""
}

// formFields are the fields of a key's form, and what the page calls them.
var formFields = map[string]string{
	"name": "Name", "expires": "Expiry", "owner": "Owner", "scopes": "Scopes", "metadata": "Metadata",
	"limit": "Calls", "window": "Window",
}

// formField returns the field of the form that a property of the API is, or nothing.
func formField(property string) string {
	switch property {
	case "expires_at":
		return "expires"
	case "rate_limit", "rate_limit.limit":
		return "limit"
	case "rate_limit.window_seconds":
		return "window"
	}
	root, _, _ := strings.Cut(property, ".") // such as scopes.3
	if _, ok := formFields[root]; ok {
		return root
	}
	return ""
}

// addRefusal adds what the API refused, and reports whether that is about fields alone.
func (f *faults) addRefusal(refusal *client.Error) bool {
	switch refusal.Code {
	case client.CodeNameTaken:
		f.add("name", "Another key of this owner has this name. Choose another one, or revoke that key first.")
		return true
	case client.CodeForbidden: // begins with the field, if it is about one
		property, message, _ := strings.Cut(refusal.Message, ": ")
		if field := formField(property); field != "" {
			f.add(field, sentence(message))
			return true
		}
		return false
	}
	for _, d := range refusal.Details {
		field := formField(d.Field)
		if field == "" {
			return false
		}
		f.add(field, faultMessage(d))
	}
	return len(refusal.Details) > 0
}

// faultMessage tells a detail in the words of the form.
func faultMessage(d client.FieldError) string {
	switch name, isMetadata := strings.CutPrefix(d.Field, "metadata."); {
	case isMetadata:
		return "The text of " + name + " " + strings.TrimSuffix(d.Message, ".") + "."
	case d.Field == "rate_limit.window_seconds":
		return "Must be from 1 second to 1 day."
	case strings.HasPrefix(d.Field, "scopes."):
		return "Each " + strings.TrimSuffix(d.Message, ".") + "."
	}
	return sentence(d.Message)
}

// showRefused shows a form again: with what was typed, and why it was not done. What no
// form can mend goes up.
func (v *visit) showRefused(f keyForm, err error) error {
	refusal, _ := errors.AsType[*client.Error](err)
	if refusal == nil || !f.Faults.addRefusal(refusal) {
		if refusal != nil && (refusal.Status == http.StatusUnauthorized || refusal.Status == http.StatusNotFound) {
			return err
		}
		t := v.troubleOf(err, refusal)
		f.Problem = &t
		v.showKeyForm(t.Status, f)
		return nil
	}
	v.showKeyForm(refusal.Status, f)
	return nil
}

// writing makes a handler of pages for those whose key may change keys.
func writing(h handler) handler {
	return func(v *visit) error {
		if !v.may(apiWrite) {
			return v.refuse(trouble{Status: http.StatusForbidden, Title: "Your key may only look",
				Message: "You are signed in with " + v.me.Name + ", which lacks the scope keys:write. " +
					"Sign in with a key that has it to make or change keys."})
		}
		return h(v)
	}
}

// refuse shows a page in place of the one asked for.
func (v *visit) refuse(t trouble) error {
	v.show(t.Status, "trouble", t.Title, t)
	return nil
}
