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
func (s session) over(now time.Time) bool {
	return now.Sub(s.Started) >= absoluteEnd || now.Sub(s.Seen) >= idleEnd
}

// seal encrypts what a browser keeps for us, so that it can neither be read nor changed.
type seal struct{ aead cipher.AEAD }

func newSeal(key []byte) (seal, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return seal{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return seal{aead}, err
}

// close encrypts a value for one purpose.
func (s seal) close(purpose string, value any) string {
	text, _ := json.Marshal(value)                                                            // of types that always can be
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, []byte(purpose))) //nolint:gosec // G407: the nonce is random, made by the AEAD itself
}

// open decrypts what close made for the same purpose, and reports whether it is that.
func (s seal) open(purpose, text string, value any) bool {
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
	found, ok := s.carried(r)
	return found, ok && !found.over(s.Now()) && !s.ended.has(found.ID)
}

// carried returns the session that a request carries, if we made it, over or not.
func (s *site) carried(r *http.Request) (found session, ok bool) {
	name := cookieName(r)
	value, ok := cookieValue(r, name)
	return found, ok && s.seal.open(name, value, &found)
}

// keepSession gives the browser a session.
func (s *site) keepSession(w http.ResponseWriter, r *http.Request, of session) {
	name := cookieName(r)
	http.SetCookie(w, cookie(r, name, s.seal.close(name, of), "/", 0))
}

// dropSession takes it away again, and ends it should somebody have a copy, which may have
// been in use when this one was not.
func (s *site) dropSession(w http.ResponseWriter, r *http.Request) {
	if found, ok := s.carried(r); ok {
		s.ended.add(found.ID, found.Started.Add(absoluteEnd), s.Now())
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
type ended struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func newEnded() *ended { return &ended{until: make(map[string]time.Time)} }

func (e *ended) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.until[id]
	return ok
}

// add remembers a session until it would be over anyway.
func (e *ended) add(id string, until, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.until[id]; known || !until.After(now) {
		return
	}
	if len(e.until) >= maxEnded {
		for old, end := range e.until {
			if !end.After(now) || len(e.until) >= maxEnded {
				delete(e.until, old)
			}
		}
	}
	e.until[id] = until
}
