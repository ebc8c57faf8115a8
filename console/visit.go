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
	// maxForm bounds a form: as much as the API accepts, plus the names of its fields.
	maxForm = 128 << 10
	// maxStrangersForm bounds a form without a session: enough to keep what was typed before a
	// session ended, and cheap to read.
	maxStrangersForm = 16 << 10
	// maxMediaType bounds a Content-Type.
	maxMediaType = 256
	// maxFields bounds the fields of a form or a query.
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
	session session        // the reader's
	me      client.Key     // the reader's key
	api     *client.Client // with the reader's key
}

// handler answers a request or returns an error.
type handler func(*visit) error

func (s *site) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{site: s, w: w, r: r, now: s.Now()}
}

// page wraps a handler for pages that anyone may see.
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

// signedIn wraps a handler for signed-in readers. Others must sign in first.
func (s *site) signedIn(h handler) http.Handler {
	return s.page(func(v *visit) error {
		var ok bool
		if v.session, ok = s.sessionOf(v.r); !ok {
			return errSignedOut
		}
		if v.byLink() && !forLinks(v.r.Pattern) {
			if v.r.URL.Path == Path {
				return v.redirect(Path + "/keys")
			}
			return errNotFound
		}
		if err := v.identify(v.session.Secret); err != nil {
			return err
		}
		// Polling does not keep a reader signed in.
		if !v.polls() && v.now.Sub(v.session.Seen) >= seenEvery {
			v.session.Seen = v.now
			s.setSession(v.w, v.r, v.session)
		}
		return h(v)
	})
}

// byLink reports whether the reader came by an owner link.
func (v *visit) byLink() bool { return v.session.Kind == apikey.SessionLink }

// errNotASecret means that a string is not a well-formed secret.
var errNotASecret = errors.New("not the secret of a key")

// identify asks the API which key has a secret. The API decides whether it is valid.
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

// readForm reads a form. For a GET, the query is the form.
func (v *visit) readForm() error {
	data, err := io.ReadAll(http.MaxBytesReader(v.w, v.r.Body, v.formLimit()))
	_, large := errors.AsType[*http.MaxBytesError](err)
	if large || !v.uploads() && tooManyFields(string(data)) || tooManyFields(v.r.URL.RawQuery) {
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
			values[i] = strings.ToValidUTF8(value, "\uFFFD") // JSON cannot hold anything else
		}
	}
	return nil
}

// formLimit returns the maximum size of a form.
func (v *visit) formLimit() int64 {
	if v.r.URL.Path == Path+"/sign-in" {
		return 3 * maxStrangersForm // a form inside a form is escaped twice
	}
	if _, ok := v.sessionOf(v.r); ok {
		return maxForm
	}
	return maxStrangersForm
}

// uploads reports whether the request carries a file. ParseForm does not read it; the page of imports does.
func (v *visit) uploads() bool {
	return v.r.URL.Path == Path+"/import" && strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/form-data;")
}

func tooManyFields(form string) bool { return strings.Count(form, "&") >= maxFields }

// typedAgain marks a request that shows a form with what was typed before the session ended.
type typedAgain struct{}

// typed reports whether the reader filled in the form. A link does not.
func (v *visit) typed() bool {
	return v.r.Method == http.MethodPost || v.ctx().Value(typedAgain{}) != nil
}

// confirmed returns the value of a field that confirms something. A link cannot fill it in.
func (v *visit) confirmed(field string) string {
	if !v.typed() {
		return ""
	}
	return v.form.Get(field)
}

// ctx returns the context of the request.
func (v *visit) ctx() context.Context { return v.r.Context() }

// may reports whether the reader's key has a scope of the API.
func (v *visit) may(scope string) bool {
	return slices.Contains(v.me.Scopes, scope) || slices.Contains(v.me.Scopes, apikey.ScopeAdmin)
}

// polls reports whether the page polls by itself.
func (v *visit) polls() bool { return v.r.Header.Get("Console-Poll") != "" }

// redirect redirects the browser to another page of the console.
func (v *visit) redirect(path string) error {
	http.Redirect(v.w, v.r, path, http.StatusSeeOther) //nolint:gosec,nolintlint // G710, not always: paths from a browser went through ownPath
	return nil
}
