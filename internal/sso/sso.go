// Package sso signs people in at an OpenID Connect provider (OpenID Connect Core 1.0, the authorization code flow with
// PKCE, RFC 7636), and says what they may do here.
package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"apikeyd/apikey"
)

// Config says where people sign in and what they get. Issuer, ClientID, Secret, Claim and Now must be set.
type Config struct {
	Issuer   string
	ClientID string
	Secret   string
	Scopes   []string // to ask for, besides openid
	Claim    string   // whose values Grants map, such as groups
	Grants   []Grant
	Lasts    time.Duration // how long a session does at most
	Now      func() time.Time
}

const (
	// flowTime is how long signing in at the provider may take.
	flowTime = 10 * time.Minute
	// skew is how far the provider's clock and ours may be apart.
	skew = time.Minute
	// callTime bounds a call of the provider.
	callTime = 8 * time.Second
	// retryAfter is how long after a failure the provider is asked again.
	retryAfter = 2 * time.Second
)

// Provider is an OpenID Connect provider. It is asked about itself when somebody first signs in, so that a server starts
// without it.
type Provider struct {
	config Config
	http   *http.Client

	mu     sync.Mutex
	known  *oidc.Provider
	failed time.Time
	why    error
}

// New returns a provider.
func New(c Config) *Provider {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Provider{config: c, http: &http.Client{
		Transport: limited{transport}, Timeout: callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the provider redirects, which it must not")
		},
	}}
}

// Name is what people know the provider by: its host.
func (p *Provider) Name() string {
	u, err := url.Parse(p.config.Issuer)
	if err != nil {
		return p.config.Issuer
	}
	return u.Host
}

// AwayError says that the provider does not answer, or not as it must.
type AwayError struct{ cause error }

func (e *AwayError) Error() string { return "the identity provider cannot be used: " + e.cause.Error() }

// Unwrap returns the cause.
func (e *AwayError) Unwrap() error { return e.cause }

// RefusedError says why somebody is not signed in. Reason is a sentence for that person.
type RefusedError struct {
	Reason string
	cause  error // for the log
}

func (e *RefusedError) Error() string {
	if e.cause != nil {
		return e.Reason + ": " + e.cause.Error()
	}
	return e.Reason
}

// Flow is what must be remembered while somebody signs in at the provider. It is secret.
type Flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Callback string    `json:"callback"`
	Until    time.Time `json:"until"`
}

// Begin returns the address at the provider where somebody signs in, and who will be sent back to callback.
func (p *Provider) Begin(ctx context.Context, callback string) (address string, flow Flow, err error) {
	provider, err := p.discover(ctx)
	if err != nil {
		return "", flow, err
	}
	flow = Flow{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Callback: callback,
		Until: p.config.Now().Add(flowTime),
	}
	return p.oauth(provider, callback).AuthCodeURL(flow.State, oidc.Nonce(flow.Nonce), oauth2.S256ChallengeOption(flow.Verifier)), flow, nil
}

// Finish exchanges what the provider sent with somebody for a proof of who that is, and returns the settings of that
// person's session: a *RefusedError if there is none, or an *AwayError.
func (p *Provider) Finish(ctx context.Context, flow Flow, answer url.Values) (s apikey.Settings, err error) {
	if differ(answer.Get("state"), flow.State) || !p.config.Now().Before(flow.Until) {
		return s, &RefusedError{Reason: "This sign-in was not begun in this browser, or too long ago. Begin again."}
	}
	if code := answer.Get("error"); code != "" {
		return s, &RefusedError{Reason: "The identity provider did not sign you in.", cause: errors.New(code)}
	}
	provider, err := p.discover(ctx)
	if err != nil {
		return s, err
	}
	ctx = oidc.ClientContext(ctx, p.http)
	token, err := p.oauth(provider, flow.Callback).Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(flow.Verifier))
	if err != nil {
		if _, refused := errors.AsType[*oauth2.RetrieveError](err); refused {
			return s, &RefusedError{Reason: "The identity provider refused this sign-in. Begin again.", cause: err}
		}
		return s, &AwayError{err}
	}
	raw, _ := token.Extra("id_token").(string)
	proof, err := provider.VerifierContext(ctx, &oidc.Config{
		ClientID: p.config.ClientID, Now: func() time.Time { return p.config.Now().Add(-skew) },
	}).Verify(ctx, raw)
	if err != nil {
		return s, &RefusedError{Reason: "The identity provider's answer does not prove who you are.", cause: err}
	}
	switch now := p.config.Now(); {
	case differ(proof.Nonce, flow.Nonce):
		err = errors.New("the nonce is another one")
	case proof.IssuedAt.After(now.Add(skew)):
		err = fmt.Errorf("it was issued at %s, which is in the future", proof.IssuedAt)
	}
	if err != nil {
		return s, &RefusedError{Reason: "The identity provider's answer does not prove who you are.", cause: err}
	}
	claims := make(map[string]any)
	if err := proof.Claims(&claims); err != nil {
		return s, &RefusedError{Reason: "The identity provider's answer cannot be read.", cause: err}
	}
	if claims[p.config.Claim] == nil || claims["email"] == nil {
		if err := p.addUserInfo(ctx, provider, token, proof.Subject, claims); err != nil {
			return s, err
		}
	}
	return p.settings(proof.Subject, claims)
}

// differ reports whether a text is not the one expected, which is never empty.
func differ(got, want string) bool { return want == "" || got != want }

// addUserInfo adds the claims that only the provider's UserInfo endpoint tells.
func (p *Provider) addUserInfo(
	ctx context.Context, provider *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any,
) error {
	if provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return &AwayError{err}
	}
	if info.Subject != subject { // OpenID Connect Core 1.0, section 5.3.2
		return &RefusedError{Reason: "The identity provider's answers are about two people.", cause: errors.New("another subject")}
	}
	more := make(map[string]any)
	if err := info.Claims(&more); err != nil {
		return &AwayError{err}
	}
	for name, value := range more {
		if claims[name] == nil {
			claims[name] = value
		}
	}
	return nil
}

// SignOutURL returns the address at which somebody signs out at the provider too; empty if there is none.
func (p *Provider) SignOutURL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var metadata struct {
		End string `json:"end_session_endpoint"`
	}
	if p.known == nil || p.known.Claims(&metadata) != nil || !strings.HasPrefix(metadata.End, "http") {
		return ""
	}
	return metadata.End + "?" + url.Values{"client_id": {p.config.ClientID}}.Encode()
}

func (p *Provider) oauth(provider *oidc.Provider, callback string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.Secret, Endpoint: provider.Endpoint(), RedirectURL: callback,
		Scopes: slices.Concat([]string{oidc.ScopeOpenID}, p.config.Scopes),
	}
}

// Check asks the provider about itself.
func (p *Provider) Check(ctx context.Context) error {
	_, err := p.discover(ctx)
	return err
}

// discover asks the provider about itself unless it has answered before. After a failure it waits a little, so that
// strangers cannot make this server call it all the time.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	if now := time.Now(); p.why != nil && now.Sub(p.failed) < retryAfter {
		return nil, p.why
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.http), p.config.Issuer)
	if err == nil && !secure(provider.Endpoint().AuthURL, provider.Endpoint().TokenURL) {
		err = errors.New("its endpoints must be https")
	}
	if err != nil {
		p.failed, p.why = time.Now(), &AwayError{err}
		return nil, p.why
	}
	p.known, p.why = provider, nil
	return provider, nil
}

// limited bounds the answers of a provider.
type limited struct{ base http.RoundTripper }

const maxAnswer = 1 << 20

// RoundTrip implements http.RoundTripper.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.base.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	}
	return answer, err
}
