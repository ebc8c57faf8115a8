// Package console is the web console: pages for people who would rather look than type.
//
// It is an ordinary client of the API. Each page calls the contract's operations in this
// process, through the same authentication, validation and audit as any caller, with the
// key that its reader signed in with; it can do nothing else.
package console

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// Path is where the console is. Everything below it belongs to it.
const Path = "/console"

// Config is what a Console needs. API, Log and Now must be set.
type Config struct {
	API http.Handler // answers the contract's operations, as anybody is answered
	Log *slog.Logger
	Now func() time.Time

	// Key seals sessions. The consoles of several nodes need the same one. Nil is a new one,
	// so that a restart ends all sessions.
	Key []byte // KeySize bytes
	// MaxKeyLifetime is the longest that the API lets a key live; 0 is without end.
	MaxKeyLifetime time.Duration
	// Warnings are what everybody who is signed in must know now; nil for nothing.
	Warnings func() []string
}

// KeySize is how many bytes a Key has.
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
	s := &site{Config: c, sealer: sealer, assets: assets, templates: templates, signedOut: newSignedOut()}
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
	pages     *router
}

func (s *site) routes() *router {
	mux := &router{}
	mux.Handle("GET "+Path+"/assets/{name}", s.assets)
	mux.Handle("GET "+Path+"/sign-in", s.page(showSignIn))
	mux.Handle("POST "+Path+"/sign-in", s.page(signIn))
	mux.Handle("POST "+Path+"/sign-out", s.page(signOut))

	mux.Handle("GET "+Path, s.signedIn(showOverview))
	mux.Handle("GET "+Path+"/{$}", http.RedirectHandler(Path, http.StatusSeeOther))
	mux.Handle("GET "+Path+"/keys", s.signedIn(showKeys))
	mux.Handle("GET "+Path+"/keys/revoke", s.signedIn(withWriteScope(showBulk)))
	mux.Handle("POST "+Path+"/keys/revoke", s.signedIn(withWriteScope(revokeSeveral)))
	mux.Handle("GET "+Path+"/keys/{id}", s.signedIn(showKey))
	mux.Handle("GET "+Path+"/keys/{id}/rotate", s.signedIn(withWriteScope(showRotate)))
	mux.Handle("POST "+Path+"/keys/{id}/rotate", s.signedIn(withWriteScope(rotate)))
	mux.Handle("GET "+Path+"/keys/{id}/revoke", s.signedIn(withWriteScope(showRevoke)))
	mux.Handle("POST "+Path+"/keys/{id}/revoke", s.signedIn(withWriteScope(revoke)))
	mux.Handle("GET "+Path+"/keys/new", s.signedIn(withWriteScope(showNewKey)))
	mux.Handle("POST "+Path+"/keys/new", s.signedIn(withWriteScope(createKey)))
	mux.Handle("GET "+Path+"/keys/{id}/edit", s.signedIn(withWriteScope(showEdit)))
	mux.Handle("POST "+Path+"/keys/{id}/edit", s.signedIn(withWriteScope(editKey)))
	mux.Handle("GET "+Path+"/keys/{id}/secret", s.signedIn(showSecret))
	mux.Handle("GET "+Path+"/keys/{id}/secret/page-cache.css", s.signedIn(preventPageCache))
	mux.Handle("GET "+Path+"/audit", s.signedIn(showAudit))
	mux.Handle("GET "+Path+"/audit/export", s.signedIn(exportAudit))
	mux.Handle("GET "+Path+"/try", s.signedIn(showTry))
	mux.Handle("POST "+Path+"/try", s.signedIn(try))
	mux.Handle(catchAll, s.page(showNotFound))
	return mux
}
