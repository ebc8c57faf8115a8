package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/basepath"
)

const (
	// idleEnd is how long after its last request a session ends.
	idleEnd = 30 * time.Minute
	// absoluteEnd is how long after signing in a session ends in any case.
	absoluteEnd = 12 * time.Hour
	// seenEvery is how often the cookie's time of the last request is updated.
	seenEvery = time.Minute
)

// session is the content of the session cookie. It contains the secret because each call to the API
// proves it again: a session ends when its key is revoked, expires or is rotated.
type session struct {
	Kind    apikey.Session `json:"kind,omitempty"` // of the key, if it is the session's own
	ID      string         `json:"id"`
	Secret  string         `json:"secret"`
	Started time.Time      `json:"started"`
	Seen    time.Time      `json:"seen"`
}

func newSession(secret string, now time.Time) session {
	return session{ID: rand.Text(), Secret: secret, Started: now, Seen: now}
}

// hasTimedOut reports whether a session is too old or idle for too long.
func (s session) hasTimedOut(now time.Time) bool {
	return now.Sub(s.Started) >= absoluteEnd || now.Sub(s.Seen) >= idleEnd
}

// sealer encrypts cookies, so that they can be neither read nor changed.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// seal encrypts a value for one purpose.
func (s sealer) seal(purpose string, value any) string {
	text, _ := json.Marshal(value)                                                            // cannot fail with our types
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, []byte(purpose))) //nolint:gosec // G407: the nonce is random, made by the AEAD itself
}

// open decrypts a value that was sealed for the same purpose, and reports whether it could.
func (s sealer) open(purpose, text string, value any) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(purpose))
	return err == nil && json.Unmarshal(plain, value) == nil
}

const (
	// sessionCookie is bound to this host and to TLS by its prefix (RFC 6265bis, section 4.1.3.2);
	// plainCookie is its name without TLS.
	sessionCookie = "__Host-apikeyd"
	plainCookie   = "apikeyd"
)

// cookieName returns the name of the session cookie for a request. Browsers send cookies to all ports
// of a host, so without TLS, as on a developer's machine, each port has its own name. Each base path has
// its own name too: a cookie with the prefix __Host- belongs to all paths of a host.
func cookieName(r *http.Request) string {
	if overTLS(r) {
		return secureCookieName(r)
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil && isNumber(port) {
		return plainCookie + "_" + port + cookieSuffix(r)
	}
	return plainCookie + cookieSuffix(r)
}

func secureCookieName(r *http.Request) string { return sessionCookie + cookieSuffix(r) }

// cookieSuffix makes a base path part of a cookie's name, which allows + but no slash.
func cookieSuffix(r *http.Request) string {
	return strings.ReplaceAll(basepath.Of(r.Context()), "/", "+")
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// cookieValue returns the first cookie with a name. Request.Cookie would allocate all cookies that a
// stranger sends.
func cookieValue(r *http.Request, name string) (string, bool) {
	for _, header := range r.Header["Cookie"] {
		if !strings.Contains(header, name) {
			continue // most cookies of strangers: splitting them would cost many times as much
		}
		for pair := range strings.SplitSeq(header, ";") {
			key, value, found := strings.Cut(strings.TrimSpace(pair), "=")
			if found && key == name {
				return value, true
			}
		}
	}
	return "", false
}

// hasSession reports whether a request has a session cookie, valid or not.
func hasSession(r *http.Request) bool {
	_, found := cookieValue(r, cookieName(r))
	return found
}

// sessionOf returns the session of a request, if it is valid as far as can be known without asking
// the API.
func (s *site) sessionOf(r *http.Request) (session, bool) {
	found, ok := s.sentSession(r)
	return found, ok && !found.hasTimedOut(s.Now()) && !s.signedOut.has(found.ID)
}

// sentSession returns the session that a request carries if this server made it, even if it ended.
func (s *site) sentSession(r *http.Request) (found session, ok bool) {
	name := cookieName(r)
	value, ok := cookieValue(r, name)
	return found, ok && s.sealer.open(name, value, &found)
}

// setSession sends the browser a session cookie.
func (s *site) setSession(w http.ResponseWriter, r *http.Request, of session) {
	name := cookieName(r)
	http.SetCookie(w, s.forFrame(of, cookie(r, name, s.sealer.seal(name, of), "/", 0)))
}

// endSession removes the cookie and ends the session for copies of the cookie too. A copy may have
// been used while this one was idle.
func (s *site) endSession(w http.ResponseWriter, r *http.Request) {
	found, ok := s.sentSession(r)
	if ok {
		s.signedOut.add(found.ID, found.Started.Add(absoluteEnd), s.Now())
		if err := s.endKey(r, found); err != nil { // it ends by itself before long
			s.Log.Error("the key of an ended session could not be revoked", "error", apikey.Redact(err.Error()))
		}
	}
	if hasSession(r) {
		http.SetCookie(w, s.forFrame(found, cookie(r, cookieName(r), "", "/", -1)))
	}
}

// cookie returns a cookie that scripts and other sites cannot use. It lives maxAge seconds, or with 0
// until the browser closes; a negative maxAge removes it. The path "/" is all of the host: __Host- requires it.
func cookie(r *http.Request, name, value, path string, maxAge int) *http.Cookie {
	if path != "/" {
		path = basepath.Of(r.Context()) + path
	}
	return &http.Cookie{ //nolint:gosec // G124: it is Secure if there is TLS
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		Secure: overTLS(r), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// overTLS reports whether the browser uses TLS, to this server or to a proxy in between. The Origin
// that browsers send with every form shows it, and so do many proxies. Neither can be trusted, and
// neither must be: a liar only gets a stricter cookie.
func overTLS(r *http.Request) bool {
	if r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://") ||
		strings.HasPrefix(r.Header.Get("X-Forwarded-Proto"), "https") {
		return true
	}
	_, found := cookieValue(r, secureCookieName(r)) // browsers store it only over TLS
	return found
}

// maxSignedOut bounds how many signed-out sessions are remembered.
const maxSignedOut = 10_000

// signedOut holds the sessions that were signed out and have not timed out yet.
type signedOut struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func newSignedOut() *signedOut { return &signedOut{until: make(map[string]time.Time)} }

func (o *signedOut) has(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.until[id]
	return ok
}

// add remembers a session until it would have ended anyway.
func (o *signedOut) add(id string, until, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.until[id]; known || !until.After(now) {
		return
	}
	if len(o.until) >= maxSignedOut {
		for old, end := range o.until {
			if !end.After(now) || len(o.until) >= maxSignedOut {
				delete(o.until, old)
			}
		}
	}
	o.until[id] = until
}
