package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

const (
	// maxForm bounds a form: as much as the API takes, and the names of its fields.
	maxForm = 128 << 10
	// maxStrangersForm bounds one that comes without a session: enough to keep what was typed
	// before a session ended, and little to read for nothing.
	maxStrangersForm = 16 << 10
	// maxMediaType is how long a Content-Type may be.
	maxMediaType = 256
	// maxFields is how many fields a form or a query may have.
	maxFields = 500
	// visitTimeout is how long a page may take.
	visitTimeout = 12 * time.Second
)

// visit is one request of a browser.
type visit struct {
	*site
	w http.ResponseWriter
	r *http.Request

	now     time.Time
	form    url.Values     // what was sent, or what was typed before the session ended
	session session        // of whoever is signed in
	me      client.Key     // the key that they signed in with
	api     *client.Client // acts with it
}

// handler answers a request, or says why it cannot.
type handler func(*visit) error

func (s *site) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{site: s, w: w, r: r, now: s.Now()}
}

// page makes a handler of pages that anybody may see.
func (s *site) page(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), visitTimeout)
		defer cancel()
		v := s.visit(w, r.WithContext(ctx))
		err := v.readForm()
		if err == nil {
			err = h(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// signedIn makes a handler of pages for those who are signed in. Others sign in first.
func (s *site) signedIn(h handler) http.Handler {
	return s.page(func(v *visit) error {
		var ok bool
		if v.session, ok = s.sessionOf(v.r); !ok {
			return errSignedOut
		}
		if err := v.identify(v.session.Secret); err != nil {
			return err
		}
		// A page that asks by itself does not keep its reader signed in.
		if !v.polls() && v.now.Sub(v.session.Seen) >= seenEvery {
			v.session.Seen = v.now
			s.setSession(v.w, v.r, v.session)
		}
		return h(v)
	})
}

// errNotASecret says that a string is no key's secret.
var errNotASecret = errors.New("not the secret of a key")

// identify asks the API whose a secret is. The API decides whether it is good.
func (v *visit) identify(secret string) (err error) {
	id, _, ok := apikey.Identify(secret)
	if !ok {
		return errNotASecret
	}
	if v.api, err = v.client(v.r, secret); err != nil {
		return err
	}
	v.me, err = v.api.Get(v.ctx(), id.String())
	return err
}

// readForm reads what a form sent. What a GET asks for is the form of the page that it
// shows.
func (v *visit) readForm() error {
	data, err := io.ReadAll(http.MaxBytesReader(v.w, v.r.Body, v.formLimit()))
	if _, large := errors.AsType[*http.MaxBytesError](err); large || tooManyFields(string(data)) || tooManyFields(v.r.URL.RawQuery) {
		if v.formLimit() == maxStrangersForm {
			return errFormTooLargeToKeep
		}
		return errFormTooLarge
	}
	v.r.Body = io.NopCloser(bytes.NewReader(data))
	if len(v.r.Header.Get("Content-Type")) > maxMediaType {
		return errBadForm
	}
	if err != nil || v.r.ParseForm() != nil {
		return errBadForm
	}
	v.form = v.r.Form
	if v.r.Method == http.MethodPost {
		v.form = v.r.PostForm
	}
	for _, values := range v.form {
		for i, value := range values {
			values[i] = strings.ToValidUTF8(value, "\uFFFD") // nothing else can be sent on as JSON
		}
	}
	return nil
}

// formLimit is how large a form may be.
func (v *visit) formLimit() int64 {
	if v.r.URL.Path == Path+"/sign-in" {
		return 3 * maxStrangersForm // a form in a form: what was escaped is escaped again
	}
	if _, ok := v.sessionOf(v.r); ok {
		return maxForm
	}
	return maxStrangersForm
}

func tooManyFields(form string) bool { return strings.Count(form, "&") >= maxFields }

// typedAgain marks the request that shows a form as it was typed before the session ended.
type typedAgain struct{}

// confirmed is a field that confirms something: a link cannot fill it in.
func (v *visit) confirmed(field string) string {
	if v.r.Method != http.MethodPost && v.ctx().Value(typedAgain{}) == nil {
		return ""
	}
	return v.form.Get(field)
}

// ctx is the context of the request.
func (v *visit) ctx() context.Context { return v.r.Context() }

// may reports whether the reader's key has a scope of the API.
func (v *visit) may(scope string) bool {
	return slices.Contains(v.me.Scopes, scope) || slices.Contains(v.me.Scopes, apikey.ScopeAdmin)
}

// polls reports whether the page asks by itself, and not its reader.
func (v *visit) polls() bool { return v.r.Header.Get("Console-Poll") != "" }

// redirect sends the browser to another page of the console.
func (v *visit) redirect(path string) error {
	http.Redirect(v.w, v.r, path, http.StatusSeeOther) //nolint:gosec,nolintlint // G710, not always: what a browser names has been through ownPath
	return nil
}
