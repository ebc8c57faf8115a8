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

// fault is a problem with one field of a form.
type fault struct {
	Field   string // its name in the form
	Message string
}

// Label returns the field's label on the page.
func (f fault) Label() string { return formFields()[fieldIndex(f.Field)].label }

// namedField is a field of a form and its label on the page.
type namedField struct{ name, label string }

// formFields are the fields of forms, in the order of their pages.
func formFields() (fields []namedField) {
	for _, text := range keyfield.Texts() {
		fields = append(fields, namedField{text.Name, text.Heading()})
	}
	return append(fields,
		namedField{"owner", "Owner"}, namedField{"expires", "Expiry"}, namedField{"scopes", "Scopes"},
		namedField{"metadata", "Metadata"}, namedField{"max_keys", "Most keys"}, namedField{"limit", "Calls"}, namedField{"window", "Window of the limit"},
		namedField{"quota", "Units of the quota"}, namedField{"starts", "Start of its periods"},
		namedField{"allowed_cidrs", "Allowed networks"}, namedField{"observe_cidrs", "Observed networks"},
		namedField{"url", "URL"}, namedField{"events", "Events"}, namedField{"description", "Description"}) // of webhooks
}

// fieldIndex returns a field's position on the page, or -1.
func fieldIndex(name string) int {
	return slices.IndexFunc(formFields(), func(f namedField) bool { return f.name == name })
}

// faults are the faults of a form, in the order of the page.
type faults []fault

// add adds a fault unless the field already has one.
func (f *faults) add(field, message string) {
	if f.Of(field) == "" {
		*f = append(*f, fault{field, message})
		slices.SortFunc(*f, func(a, b fault) int { return fieldIndex(a.Field) - fieldIndex(b.Field) })
	}
}

// Of returns the message about a field, or nothing.
func (f faults) Of(field string) string {
	for _, one := range f {
		if one.Field == field {
			return one.Message
		}
	}
	return ""
}

// formField returns the form's field for a property of the API, or nothing.
func formField(property string) string {
	switch property {
	case "expires_at":
		return "expires"
	case "rate_limit", "rate_limit.limit":
		return "limit"
	case "rate_limit.window_seconds":
		return "window"
	case "quota.starts_on":
		return "starts"
	}
	root, _, _ := strings.Cut(property, ".") // such as scopes.3
	if fieldIndex(root) < 0 {
		return ""
	}
	return root
}

// addRefusal adds the API's refusal, and reports whether it is only about fields.
func (f *faults) addRefusal(refusal *client.Error) bool {
	switch refusal.Code {
	case client.CodeNameTaken:
		f.add("name", "Another key of this owner has this name. Choose another one, or revoke that key first.")
		return true
	case client.CodeForbidden: // the message begins with the field, if it is about one
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

// faultMessage rephrases a detail for the form.
func faultMessage(d client.FieldError) string {
	switch name, isMetadata := strings.CutPrefix(d.Field, "metadata."); {
	case isMetadata:
		return "The text of " + name + " " + strings.TrimSuffix(d.Message, ".") + "."
	case d.Field == "rate_limit.window_seconds":
		return "Must be from 1 second to 1 day."
	case strings.HasPrefix(d.Field, "scopes."):
		return sentence("each scope " + d.Message)
	case strings.HasPrefix(d.Field, "allowed_cidrs."), strings.HasPrefix(d.Field, "observe_cidrs."):
		return sentence("each " + d.Message)
	}
	return sentence(d.Message)
}

// showRefused shows a form again with what was typed and why the API refused it. It returns errors
// that the form cannot show.
func (v *visit) showRefused(f keyForm, err error) error {
	status := v.explain(&f.formState, err)
	if status == 0 {
		return err
	}
	if f.Problem == nil {
		v.addRules(&f)
	}
	v.showKeyForm(status, f)
	return nil
}

// explain adds to a form why the API refused it. It returns the status of the page, or 0 for errors that a form
// cannot show.
func (v *visit) explain(f *formState, err error) (status int) {
	refusal, _ := errors.AsType[*client.Error](err)
	switch {
	case refusal != nil && f.Faults.addRefusal(refusal):
		return refusal.Status
	case refusal != nil && (refusal.Status == http.StatusUnauthorized || refusal.Status == http.StatusNotFound):
		return 0
	}
	t := v.errorPageOf(err, refusal)
	f.Problem = &t
	return t.Status
}

// addRules checks the fields of a refused form against the rules of keys, so that all faults show
// at once: the other checks, ours and the API's, stop at the first kind of fault.
func (v *visit) addRules(f *keyForm) {
	key := settingsOf(v.form, &faults{})
	end, problem := v.endOf(v.form)
	if problem != "" || end.IsZero() {
		end = v.now.Add(time.Minute) // valid: the problem is already listed, or the expiry is unchanged
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

// withWriteScope wraps a handler for readers whose key may change keys.
func withWriteScope(h handler) handler {
	return func(v *visit) error {
		if !v.may(apikey.ScopeWrite) && v.byLink() {
			return v.refuse(errorPage{Status: http.StatusForbidden, Title: "You may only look", Message: "Your link does not let you create or change keys."})
		}
		if !v.may(apikey.ScopeWrite) {
			return v.refuse(errorPage{Status: http.StatusForbidden, Title: "Your key is read-only",
				Message: "The key that you are signed in with lacks the scope keys:write. " +
					"Sign in with a key that has it to create or change keys."})
		}
		return h(v)
	}
}

// refuse shows an error page.
func (v *visit) refuse(t errorPage) error {
	v.show(t.Status, "error", t.Title, t)
	return nil
}
