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
)

const (
	// idleEnd is how long after its last request a session ends.
	idleEnd = 30 * time.Minute
	// absoluteEnd is how long after signing in it ends whatever happens.
	absoluteEnd = 12 * time.Hour
	// seenEvery is how old the time of the last request may get in the cookie.
	seenEvery = time.Minute
)

// session is what a browser carries for whoever signed in. The secret is in there since
// each call to the API proves it anew: a key that is revoked, expired or rotated out has
// no session.
type session struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
}

func newSession(secret string, now time.Time) session {
	return session{ID: rand.Text(), Secret: secret, Started: now, Seen: now}
}

// over reports whether a session ended by time alone.
func (s session) hasTimedOut(now time.Time) bool {
	return now.Sub(s.Started) >= absoluteEnd || now.Sub(s.Seen) >= idleEnd
}

// seal encrypts what a browser keeps for us, so that it can neither be read nor changed.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// close encrypts a value for one purpose.
func (s sealer) seal(purpose string, value any) string {
	text, _ := json.Marshal(value)                                                            // of types that always can be
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, []byte(purpose))) //nolint:gosec // G407: the nonce is random, made by the AEAD itself
}

// open decrypts what close made for the same purpose, and reports whether it is that.
func (s sealer) open(purpose, text string, value any) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(purpose))
	return err == nil && json.Unmarshal(plain, value) == nil
}

const (
	// sessionCookie is bound to this host and to TLS by its prefix (RFC 6265bis, section
	// 4.1.3.2); plainCookie is its name where there is no TLS.
	sessionCookie = "__Host-apikeyd"
	plainCookie   = "apikeyd"
)

// cookieName is the name of the session's cookie where a request comes from. Browsers send a
// cookie to all ports of a host: so without TLS, as on one's own machine, each has its own.
func cookieName(r *http.Request) string {
	if overTLS(r) {
		return sessionCookie
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil && isNumber(port) {
		return plainCookie + "_" + port
	}
	return plainCookie
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// cookieValue returns a cookie of ours, the first of that name. Request.Cookie would parse all that
// a stranger sends.
func cookieValue(r *http.Request, name string) (value string, found bool) {
	for _, header := range r.Header["Cookie"] {
		for read := 0; ; {
			before, after, found := strings.Cut(header[read:], name+"=")
			if !found {
				break
			}
			read += len(before) + len(name) + len("=")
			before = strings.TrimRight(header[:read-len(name)-len("=")], " ")
			if before == "" || strings.HasSuffix(before, ";") {
				value, _, _ = strings.Cut(after, ";")
				return strings.TrimSpace(value), true
			}
		}
	}
	return "", false
}

// hasSession reports whether a request carries a session, good or not.
func hasSession(r *http.Request) bool {
	_, found := cookieValue(r, cookieName(r))
	return found
}

// sessionOf returns the session that a request carries, if it is still good as far as can
// be told without asking the API.
func (s *site) sessionOf(r *http.Request) (session, bool) {
	found, ok := s.sentSession(r)
	return found, ok && !found.hasTimedOut(s.Now()) && !s.signedOut.has(found.ID)
}

// carried returns the session that a request carries, if we made it, over or not.
func (s *site) sentSession(r *http.Request) (found session, ok bool) {
	name := cookieName(r)
	value, ok := cookieValue(r, name)
	return found, ok && s.sealer.open(name, value, &found)
}

// setSession gives the browser a session.
func (s *site) setSession(w http.ResponseWriter, r *http.Request, of session) {
	name := cookieName(r)
	http.SetCookie(w, cookie(r, name, s.sealer.seal(name, of), "/", 0))
}

// endSession takes it away again, and ends it should somebody have a copy, which may have
// been in use when this one was not.
func (s *site) endSession(w http.ResponseWriter, r *http.Request) {
	if found, ok := s.sentSession(r); ok {
		s.signedOut.add(found.ID, found.Started.Add(absoluteEnd), s.Now())
	}
	if hasSession(r) {
		http.SetCookie(w, cookie(r, cookieName(r), "", "/", -1))
	}
}

// cookie makes a cookie that no script and no other site can use. It lives maxAge seconds,
// or with 0 as long as the browser runs; a negative maxAge takes it away.
func cookie(r *http.Request, name, value, path string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // G124: it is Secure wherever there is TLS
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		Secure: overTLS(r), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// overTLS reports whether the browser came over TLS, to us or to a proxy in between: it
// says so itself where it sends an Origin, which it does with every form, and many proxies
// say it. Neither can be trusted, nor need it be: who lies gets a cookie that is kept better.
func overTLS(r *http.Request) bool {
	if r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://") ||
		strings.HasPrefix(r.Header.Get("X-Forwarded-Proto"), "https") {
		return true
	}
	_, err := r.Cookie(sessionCookie) // no browser keeps it without TLS
	return err == nil
}

// maxEnded bounds how many sessions that were signed out are remembered.
const maxEnded = 10_000

// ended are the sessions that were signed out before their time.
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

// add remembers a session until it would be over anyway.
func (o *signedOut) add(id string, until, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.until[id]; known || !until.After(now) {
		return
	}
	if len(o.until) >= maxEnded {
		for old, end := range o.until {
			if !end.After(now) || len(o.until) >= maxEnded {
				delete(o.until, old)
			}
		}
	}
	o.until[id] = until
}
