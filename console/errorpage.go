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
	errSignedOut          = errors.New("not signed in")
	errNotFound           = errors.New("no such page")
	errMethod             = errors.New("method not allowed")
	errPanic              = errors.New("panic")
	errCrossSite          = errors.New("the form comes from another site")
	errBadForm            = errors.New("not a form")
	errFormTooLarge       = errors.New("the form is too large")
	errFormTooLargeToKeep = errors.New("the form is too large to keep for later")
)

// errorPage is a page that reports an error.
type errorPage struct {
	Status  int
	Title   string
	Message string
	Retry   bool       // a retry may help
	Request string     // the id of the request in the API's log
	Form    url.Values // what was sent, to send it again
	Address string     // where it was sent
}

// showNotFound answers for addresses without a page.
func showNotFound(v *visit) error {
	// A signed-in reader keeps the navigation.
	if found, ok := v.sessionOf(v.r); ok {
		if v.session = found; v.identify(found.Secret) != nil {
			v.me = client.Key{}
		}
	}
	if methods := v.pages.methods(v.r); methods != nil {
		v.w.Header().Set("Allow", strings.Join(methods, ", "))
		return errMethod
	}
	return errNotFound
}

// fail answers with an error page. If the session has ended, it leads to the sign-in page, which
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

// passRetryAfter passes the API's Retry-After to the browser.
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
		return errorPage{Status: http.StatusMethodNotAllowed, Title: "This address does not accept this kind of request",
			Message: "Nothing was changed. Open the page and continue from there."}
	case errors.Is(err, errCrossSite):
		return errorPage{Status: http.StatusForbidden, Title: "This form comes from another site",
			Message: "Nothing was changed. Open the console itself and try again there."}
	case errors.Is(err, errBadForm):
		return errorPage{Status: http.StatusBadRequest, Title: "This is not a valid form",
			Message: "Nothing was changed. Go back and try again."}
	case errors.Is(err, errFormTooLarge) && v.uploads():
		return errorPage{Status: http.StatusRequestEntityTooLarge, Title: "This file is too large for the console",
			Message: "Nothing was imported. The console takes up to 64 KiB at once: split the file, or use the command apikeyd import, which takes any size."}
	case errors.Is(err, errFormTooLarge):
		return errorPage{Status: http.StatusRequestEntityTooLarge, Title: "This is too much text",
			Message: "Nothing was changed. Go back and shorten it."}
	case errors.Is(err, errFormTooLargeToKeep):
		return errorPage{Status: http.StatusRequestEntityTooLarge, Title: "You are signed out",
			Message: "Nothing was changed, and this form is too large to keep. Sign in in another tab, then go back here and send it again."}
	case refusal == nil && v.ctx().Err() == nil:
		if !errors.Is(err, errPanic) { // a panic is already logged
			v.Log.Error("the console failed", "path", apikey.Redact(v.r.URL.Path), "error", apikey.Redact(err.Error()))
		}
		return errorPage{Status: http.StatusInternalServerError, Title: "The console failed",
			Message: "See the server's log. Your request may or may not have been carried out: check before you repeat it."}
	case refusal == nil:
		return errorPage{Status: http.StatusServiceUnavailable, Title: "That took too long", Retry: true,
			Message: "The server is busy or its database does not answer. Your request may or may not have been carried out: check before you repeat it."}
	}
	t := errorPage{Status: refusal.Status, Message: sentence(refusal.Message), Request: refusal.RequestID}
	switch {
	case refusal.Status == http.StatusForbidden:
		t.Title = "Your key may not do this"
	case refusal.Code == client.CodeKeyChanged:
		t.Title, t.Message = "Somebody changed this key meanwhile", "Nothing was saved yet. Send the form again to make the changes that you made here; everything else stays as it is now."
	case refusal.Code == client.CodeOwnerNotFound:
		t.Title, t.Message = "There is no such owner", "It has no keys, and nothing was set for it. The address may be mistyped."
	case refusal.Code == client.CodeWebhookNotFound:
		t.Title, t.Message = "There is no such webhook", "Its address may be mistyped, or somebody deleted it."
	case refusal.Code == client.CodeDeliveryNotFound:
		t.Title, t.Message = "There is no such delivery", "Its event is no longer in the audit log."
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
