package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"apikeyd/apikey"
	"apikeyd/client"
)

var (
	errSignedOut          = errors.New("nobody is signed in")
	errNotFound           = errors.New("no such page")
	errMethod             = errors.New("not by this method")
	errPanic              = errors.New("a defect")
	errCrossSite          = errors.New("the form comes from another site")
	errBadForm            = errors.New("not a form")
	errFormTooLarge       = errors.New("the form is too large")
	errFormTooLargeToKeep = errors.New("the form is too large to keep for later")
)

// trouble is a page in place of the one asked for.
type errorPage struct {
	Status  int
	Title   string
	Message string
	Retry   bool       // asking again may help
	Request string     // names the exchange in the log of the API
	Form    url.Values // what was sent, to send it again
	Address string     // where it was sent to
}

// showNotFound answers wherever no page is.
func showNotFound(v *visit) error {
	// A signed-in reader keeps the navigation.
	if found, ok := v.sessionOf(v.r); ok && v.identify(found.Secret) != nil {
		v.me = client.Key{}
	}
	if methods := v.pages.methods(v.r); methods != nil {
		v.w.Header().Set("Allow", strings.Join(methods, ", "))
		return errMethod
	}
	return errNotFound
}

// fail answers with what went wrong. A session that has ended leads to signing in, which
// leads back here.
func (v *visit) fail(err error) {
	refusal, _ := errors.AsType[*client.Error](err)
	if errors.Is(err, errSignedOut) || refusal != nil && refusal.Status == http.StatusUnauthorized {
		v.askToSignIn(refusal)
		return
	}
	t := v.errorPageOf(err, refusal)
	if t.Retry && v.r.Method == http.MethodPost {
		t.Form, t.Address = withoutSecrets(v.form), v.r.URL.RequestURI()
	}
	v.passRetryAfter(refusal)
	v.show(t.Status, "error", t.Title, t)
}

// passRetryAfter says how long to wait, if the API does.
func (v *visit) passRetryAfter(refusal *client.Error) {
	if refusal != nil && refusal.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(refusal.RetryAfter.Seconds())))
	}
}

func (v *visit) errorPageOf(err error, refusal *client.Error) errorPage {
	switch {
	case errors.Is(err, errNotFound):
		return errorPage{Status: http.StatusNotFound, Title: "There is no such page",
			Message: "The address may be mistyped, or the page may have moved."}
	case errors.Is(err, errMethod):
		return errorPage{Status: http.StatusMethodNotAllowed, Title: "This address takes no such request",
			Message: "Nothing was changed. Open the page and go on from there."}
	case errors.Is(err, errCrossSite):
		return errorPage{Status: http.StatusForbidden, Title: "This form comes from another site",
			Message: "Nothing was changed. Open the console itself and try again there."}
	case errors.Is(err, errBadForm):
		return errorPage{Status: http.StatusBadRequest, Title: "This is no form",
			Message: "Nothing was changed. Go back and try again."}
	case errors.Is(err, errFormTooLarge):
		return errorPage{Status: http.StatusRequestEntityTooLarge, Title: "This is too much text",
			Message: "Nothing was changed. Go back and shorten it."}
	case errors.Is(err, errFormTooLargeToKeep):
		return errorPage{Status: http.StatusRequestEntityTooLarge, Title: "You are signed out",
			Message: "Nothing was changed, and this form is too large to keep. Sign in in another tab, then go back here and send it again."}
	case refusal == nil && v.ctx().Err() == nil:
		if !errors.Is(err, errPanic) { // whose stack is in the log
			v.Log.Error("the console failed", "path", apikey.Redact(v.r.URL.Path), "error", apikey.Redact(err.Error()))
		}
		return errorPage{Status: http.StatusInternalServerError, Title: "The console failed",
			Message: "The log of the server says more. What you asked for may or may not have been done: look before you do it again."}
	case refusal == nil:
		return errorPage{Status: http.StatusServiceUnavailable, Title: "That took too long", Retry: true,
			Message: "The server is busy or its database does not answer. What you asked for may or may not have been done: look before you do it again."}
	}
	t := errorPage{Status: refusal.Status, Message: sentence(refusal.Message), Request: refusal.RequestID}
	switch {
	case refusal.Status == http.StatusForbidden:
		t.Title = "Your key may not do this"
	case refusal.Status == http.StatusNotFound:
		t.Title, t.Message = "There is no such key", "Its address may be mistyped, or it belongs to another owner."
	case refusal.Status == http.StatusTooManyRequests:
		t.Title, t.Retry = "Too many attempts", true
	case refusal.Code == client.CodeOutcomeUnknown:
		t.Title, t.Retry = "It is not known whether this was done", true
	case refusal.Status == http.StatusServiceUnavailable:
		t.Title, t.Retry = "The server cannot do this now", true
	case refusal.Status >= http.StatusInternalServerError:
		t.Title = "The server failed"
	default:
		t.Title = "This cannot be done"
	}
	return t
}
