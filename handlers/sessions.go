package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Sessions begins and ends the sessions that people have in the console without a key of their own. It is no part of
// the contract: only the console, in this process, calls it.
type Sessions struct{ server *Server }

// NewSessions returns the Sessions of a service.
func NewSessions(c Config) *Sessions { return &Sessions{newServer(c)} }

// SignIn starts the session of a person whom the identity provider named, and returns its secret.
func (s *Sessions) SignIn(r *http.Request, settings apikey.Settings) (apikey.Secret, error) {
	now := s.server.Now()
	settings.ExpiresAt = now.Add(s.server.Policy.Longest(settings.ExpiresAt.Sub(now)))
	key, secret, err := s.server.Policy.NewSessionKey(now, settings, apikey.SessionSignIn, apikey.ID{})
	if err != nil {
		return secret, err
	}
	return secret, s.logged(r, key, s.server.Store.StartSession(r.Context(), s.visitor(r, "single sign-on"), key))
}

// Open opens an owner link, and returns the secret of the session. A token that opens nothing is apikey.ErrNoLink, and
// counts as a bad API key does: after too many it is apikey.ErrTooManyLinks.
func (s *Sessions) Open(r *http.Request, token string) (secret apikey.Secret, err error) {
	var key apikey.Key
	id, hash, ok := apikey.Identify(token)
	if ok {
		now := s.server.Now()
		err = s.server.Store.OpenLink(r.Context(), s.visitor(r, "owner link"), id, hash, func(l apikey.Link, creator *apikey.Key) (apikey.Key, error) {
			var err error
			key, secret, err = s.server.Policy.NewSessionKey(now, l.Settings(now, s.server.Policy, creator), apikey.SessionLink, l.ID)
			return key, err
		})
	}
	if !ok || errors.Is(err, apikey.ErrNoLink) {
		address, _ := s.server.client(r)
		if s.server.authFailures.check(address, s.server.Now()) != nil {
			return secret, apikey.ErrTooManyLinks
		}
		return secret, apikey.ErrNoLink
	}
	return secret, s.logged(r, key, err)
}

// End ends a session. One that has ended already is no error.
func (s *Sessions) End(r *http.Request, secret string) error {
	id, hash, ok := apikey.Identify(secret)
	if !ok || !id.IsSession() {
		return nil
	}
	actor := s.visitor(r, "sign-out")
	err := s.server.Store.EndSession(r.Context(), store.Actor{
		Key: id, Secret: hash, Via: actor.Via, Address: actor.Address, RequestID: actor.RequestID,
	})
	if errors.Is(err, store.ErrActorGone) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Sessions) visitor(r *http.Request, via string) store.Actor {
	address, _ := s.server.client(r)
	return store.Visitor(via, addressText(address), rand.Text())
}

// logged logs the start of a session.
func (s *Sessions) logged(r *http.Request, key apikey.Key, err error) error {
	if err == nil {
		address, _ := s.server.client(r)
		s.server.Log.InfoContext(context.WithoutCancel(r.Context()), "a session began", "session", key.Session, "key_id", key.ID,
			"owner", apikey.Redact(key.Owner), "name", apikey.Redact(key.Name), "address", addressText(address),
			"expires_at", key.ExpiresAt.Format(time.RFC3339))
	}
	return err
}
