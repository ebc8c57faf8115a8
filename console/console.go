// Package console is the web console.
//
// It is an ordinary client of the API: each page calls the contract's operations in this process,
// with the key that its reader signed in with and through the same authentication, validation and
// audit as any caller. It can do nothing else.
package console

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Path is the console's path. Everything below it belongs to the console.
const Path = "/console"

// Config configures the console. API, Log and Now must be set.
type Config struct {
	API http.Handler // serves the contract's operations
	Log *slog.Logger
	Now func() time.Time

	// Key encrypts sessions. Several nodes need the same one. With nil each start makes a new one,
	// which ends all sessions.
	Key []byte // KeySize bytes
	// MaxKeyLifetime is the API's maximum lifetime of a key; 0 means no maximum.
	MaxKeyLifetime time.Duration
	// Sessions begins the sessions of people without a key; nil switches owner links and single sign-on off.
	Sessions Sessions
	Links    LinkPages
	SignIn   SignIn
	// Warnings returns warnings to show to every signed-in reader. It may be nil.
	Warnings func() []string
	// About describes this server to administrators. It may be nil.
	About func(ctx context.Context) (About, error)
}

// KeySize is the length of a Key in bytes.
const KeySize = 32

// New returns the handler of everything at and below Path.
func New(c Config) (http.Handler, error) {
	s, err := newSite(c)
	if err != nil {
		return nil, err
	}
	return s.protect(s.pages), nil
}

func newSite(c Config) (*site, error) {
	if c.Key == nil {
		c.Key = make([]byte, KeySize)
		_, _ = rand.Read(c.Key) // never fails
	}
	if len(c.Key) != KeySize {
		return nil, errors.New("console: the key must have 32 bytes")
	}
	sealer, err := newSealer(c.Key)
	if err != nil {
		return nil, err
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	templates, err := loadTemplates(assets)
	if err != nil {
		return nil, err
	}
	s := &site{Config: c, sealer: sealer, assets: assets, templates: templates, signedOut: newSignedOut(), used: newSignedOut(), asking: make(chan struct{}, maxAsking)}
	s.pages = s.routes()
	return s, nil
}

// site is the console.
type site struct {
	Config
	sealer    sealer
	assets    assets
	templates templates
	signedOut *signedOut
	used      *signedOut    // states of sign-ins at the provider that came back
	asking    chan struct{} // holds one for each call of the provider
	pages     *router
}

func (s *site) routes() *router {
	mux := &router{}
	mux.Handle("GET "+Path+"/assets/{name}", s.assets)
	mux.Handle("GET "+Path+"/sign-in", s.page(showSignIn))
	mux.Handle("POST "+Path+"/sign-in", s.page(signIn))
	mux.Handle("POST "+Path+"/sign-out", s.page(signOut))
	mux.Handle("POST "+Path+"/theme", s.page(chooseTheme))

	mux.Handle("GET "+ssoPath, s.page(beginSSO))
	mux.Handle("GET "+callbackPath, s.page(finishSSO))
	mux.Handle("GET "+linkPath, s.page(showLink))
	mux.Handle("POST "+linkPath+"/open", s.page(openLink))
	mux.Handle("GET "+linkPath+"/logo", s.page(showLinkLogo))
	mux.Handle("GET "+linkPath+"/style.css", s.page(showLinkStyle))

	mux.Handle("GET "+Path, s.signedIn(showOverview))
	mux.Handle("GET "+Path+"/{$}", http.RedirectHandler(Path, http.StatusSeeOther))
	mux.Handle("GET "+Path+"/keys", s.signedIn(showKeys))
	mux.Handle("GET "+Path+"/keys/revoke", s.signedIn(withWriteScope(showBulk)))
	mux.Handle("POST "+Path+"/keys/revoke", s.signedIn(withWriteScope(revokeSeveral)))
	mux.Handle("GET "+Path+"/keys/{id}", s.signedIn(showKey))
	mux.Handle("GET "+Path+"/keys/{id}/then", s.signedIn(showPast))
	mux.Handle("GET "+Path+"/keys/{id}/review", s.signedIn(showReview))
	mux.Handle("POST "+Path+"/keys/{id}/review", s.signedIn(withWriteScope(narrow)))
	mux.Handle("GET "+Path+"/keys/{id}/rotate", s.signedIn(withWriteScope(showRotate)))
	mux.Handle("POST "+Path+"/keys/{id}/rotate", s.signedIn(withWriteScope(rotate)))
	mux.Handle("POST "+Path+"/keys/{id}/suspend", s.signedIn(withWriteScope(suspend)))
	mux.Handle("POST "+Path+"/keys/{id}/resume", s.signedIn(withWriteScope(resume)))
	mux.Handle("GET "+Path+"/keys/{id}/revoke", s.signedIn(withWriteScope(showRevoke)))
	mux.Handle("POST "+Path+"/keys/{id}/revoke", s.signedIn(withWriteScope(revoke)))
	mux.Handle("GET "+Path+"/keys/new", s.signedIn(withWriteScope(showNewKey)))
	mux.Handle("POST "+Path+"/keys/new", s.signedIn(withWriteScope(createKey)))
	mux.Handle("GET "+Path+"/keys/{id}/edit", s.signedIn(withWriteScope(showEdit)))
	mux.Handle("POST "+Path+"/keys/{id}/edit", s.signedIn(withWriteScope(editKey)))
	mux.Handle("GET "+Path+"/keys/{id}/secret", s.signedIn(showSecret))
	mux.Handle("GET "+Path+"/keys/{id}/secret/page-cache.css", s.signedIn(preventPageCache))
	mux.Handle("GET "+Path+"/usage", s.signedIn(exportUsage))
	mux.Handle("GET "+Path+"/owners", s.signedIn(showOwners))
	mux.Handle("GET "+Path+"/owners/owner", s.signedIn(showOwner))
	mux.Handle("GET "+Path+"/owners/edit", s.signedIn(showEditOwner))
	mux.Handle("POST "+Path+"/owners/edit", s.signedIn(editOwner))
	mux.Handle("POST "+Path+"/owners/suspend", s.signedIn(suspendOwner))
	mux.Handle("POST "+Path+"/owners/resume", s.signedIn(resumeOwner))
	mux.Handle("GET "+Path+"/owners/revoke", s.signedIn(showRevokeAll))
	mux.Handle("POST "+Path+"/owners/revoke", s.signedIn(revokeAllOfOwner))
	hooks := Path + "/webhooks"
	mux.Handle("GET "+hooks, s.signedIn(withWebhooks(showWebhooks)))
	mux.Handle("GET "+hooks+"/new", s.signedIn(withWebhooks(showNewWebhook)))
	mux.Handle("POST "+hooks+"/new", s.signedIn(withWebhooks(createWebhook)))
	mux.Handle("GET "+hooks+"/{id}", s.signedIn(withWebhooks(showWebhook)))
	mux.Handle("GET "+hooks+"/{id}/edit", s.signedIn(withWebhooks(showEditWebhook)))
	mux.Handle("POST "+hooks+"/{id}/edit", s.signedIn(withWebhooks(editWebhook)))
	mux.Handle("POST "+hooks+"/{id}/enable", s.signedIn(withWebhooks(enableWebhook)))
	mux.Handle("POST "+hooks+"/{id}/disable", s.signedIn(withWebhooks(disableWebhook)))
	mux.Handle("POST "+hooks+"/{id}/test", s.signedIn(withWebhooks(testWebhook)))
	mux.Handle("POST "+hooks+"/{id}/retry", s.signedIn(withWebhooks(retryDelivery)))
	mux.Handle("GET "+hooks+"/{id}/rotate", s.signedIn(withWebhooks(showRotateWebhook)))
	mux.Handle("POST "+hooks+"/{id}/rotate", s.signedIn(withWebhooks(rotateWebhook)))
	mux.Handle("GET "+hooks+"/{id}/delete", s.signedIn(withWebhooks(showDeleteWebhook)))
	mux.Handle("POST "+hooks+"/{id}/delete", s.signedIn(withWebhooks(deleteWebhook)))
	mux.Handle("GET "+hooks+"/{id}/secret", s.signedIn(withWebhooks(showWebhookSecret)))
	mux.Handle("GET "+hooks+"/{id}/secret/page-cache.css", s.signedIn(preventPageCache))
	mux.Handle("GET "+Path+"/import", s.signedIn(withImport(showImport)))
	mux.Handle("POST "+Path+"/import", s.signedIn(withImport(importKeys)))
	mux.Handle("GET "+Path+"/audit", s.signedIn(showAudit))
	mux.Handle("GET "+Path+"/audit/export", s.signedIn(exportAudit))
	mux.Handle("GET "+Path+"/server", s.signedIn(showServer))
	mux.Handle("GET "+Path+"/try", s.signedIn(showTry))
	mux.Handle("POST "+Path+"/try", s.signedIn(try))
	mux.Handle(catchAll, s.page(showNotFound))
	return mux
}

// catchAll matches every address without a page.
const catchAll = Path + "/"

// router is a mux that lists its patterns.
type router struct {
	http.ServeMux
	patterns []string
}

// Handle registers a handler for a pattern.
func (m *router) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

// methods returns the methods that the address of a request accepts.
func (m *router) methods(r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := m.Handler(other); pattern != catchAll {
			methods = append(methods, method)
		}
	}
	return methods
}
