package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// fault is what is wrong with one field of a form.
type fault struct {
	Field   string // as the form calls it
	Message string
}

// Label is what the page calls the field.
func (f fault) Label() string { return formFields()[fieldIndex(f.Field)].label }

// namedField is a field of a form and what the page calls it.
type namedField struct{ name, label string }

// formFields are the fields of a key's form, in the order of the page.
func formFields() (fields []namedField) {
	for _, text := range keyfield.Texts() {
		fields = append(fields, namedField{text.Name, text.Heading()})
	}
	return append(fields,
		namedField{"owner", "Owner"}, namedField{"expires", "Expiry"}, namedField{"scopes", "Scopes"},
		namedField{"metadata", "Metadata"}, namedField{"limit", "Calls"}, namedField{"window", "Window of the limit"})
}

// fieldIndex is where a field stands on the page, or -1.
func fieldIndex(name string) int {
	return slices.IndexFunc(formFields(), func(f namedField) bool { return f.name == name })
}

// faults are those of a form, in the order of the page.
type faults []fault

// add adds what is wrong with a field, if nothing else is.
func (f *faults) add(field, message string) {
	if f.Of(field) == "" {
		*f = append(*f, fault{field, message})
		slices.SortFunc(*f, func(a, b fault) int { return fieldIndex(a.Field) - fieldIndex(b.Field) })
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
	if fieldIndex(root) < 0 {
		return ""
	}
	return root
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
		return sentence("each scope " + d.Message)
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
		t := v.errorPageOf(err, refusal)
		f.Problem = &t
		v.showKeyForm(t.Status, f)
		return nil
	}
	v.addRules(&f)
	v.showKeyForm(refusal.Status, f)
	return nil
}

// addRules adds what the rules of keys say about the fields of a form that is refused anyway, so
// that all is told at once: neither we nor the API look further than to the first kind of fault.
func (v *visit) addRules(f *keyForm) {
	key := settingsOf(v.form, &faults{})
	end, problem := v.endOf(v.form)
	if problem != "" || end.IsZero() {
		end = v.now.Add(time.Minute) // it was told, or stays as it is
	}
	key.ExpiresAt = end
	owner := v.me.Owner
	if v.form.Has("owner") {
		owner = strings.TrimSpace(v.form.Get("owner"))
	}
	_, _, err := apikey.Policy{MaxLifetime: v.MaxKeyLifetime}.NewKey(v.now, keyfield.Settings(key, owner))
	if invalid, ok := errors.AsType[*apikey.InvalidError](err); ok {
		for _, d := range invalid.Fields {
			f.Faults.add(formField(d.Field), faultMessage(client.FieldError(d)))
		}
	}
}

// writing makes a handler of pages for those whose key may change keys.
func withWriteScope(h handler) handler {
	return func(v *visit) error {
		if !v.may(apikey.ScopeWrite) {
			return v.refuse(errorPage{Status: http.StatusForbidden, Title: "Your key may only look",
				Message: "The key that you are signed in with lacks the scope keys:write. " +
					"Sign in with a key that has it to make or change keys."})
		}
		return h(v)
	}
}

// refuse shows a page in place of the one asked for.
func (v *visit) refuse(t errorPage) error {
	v.show(t.Status, "error", t.Title, t)
	return nil
}
