package service

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"apikeyd/console"
	"apikeyd/internal/sso"
)

// signInFlags say how people who have no key come to the console.
type signInFlags struct {
	PublicURL     string   `name:"public-url" env:"APIKEYD_PUBLIC_URL" placeholder:"URL" help:"Where people reach this service, with its base path, such as https://keys.example.com. Owner links lead there, and single sign-on needs it (where the caller of the API reached it)."`
	ConsoleSignIn []string `default:"key" enum:"key,oidc" env:"APIKEYD_CONSOLE_SIGN_IN" placeholder:"WAYS" help:"How people sign in to the console: key, oidc or both between commas (${default})."`

	OIDCIssuer       string        `name:"oidc-issuer" env:"APIKEYD_OIDC_ISSUER" placeholder:"URL" help:"The issuer of the OpenID Connect provider, such as https://login.example.com (none)."`
	OIDCClientID     string        `name:"oidc-client-id" env:"APIKEYD_OIDC_CLIENT_ID" placeholder:"ID" help:"This service's client id at the provider (none)."`
	OIDCClientSecret string        `name:"oidc-client-secret-file" env:"APIKEYD_OIDC_CLIENT_SECRET_FILE" placeholder:"FILE" help:"The client's secret, in this file (none)."`
	OIDCScopes       []string      `name:"oidc-scopes" default:"profile,email" env:"APIKEYD_OIDC_SCOPES" placeholder:"SCOPES" help:"The scopes to ask the provider for, besides openid, between commas (${default})."`
	OIDCClaim        string        `name:"oidc-claim" default:"groups" env:"APIKEYD_OIDC_CLAIM" placeholder:"NAME" help:"The claim whose values decide what people get (${default})."`
	OIDCGrants       string        `name:"oidc-grants-file" env:"APIKEYD_OIDC_GRANTS_FILE" placeholder:"FILE" help:"What people with which value of the claim get, as a JSON list of value, owner and scopes (none)."`
	OIDCSession      time.Duration `name:"oidc-session" default:"8h" env:"APIKEYD_OIDC_SESSION" placeholder:"DURATION" help:"How long a session by single sign-on lasts at most, from 5m to 12h; then the provider is asked again (${default})."`

	LinksTitle  string   `name:"owner-links-title" env:"APIKEYD_OWNER_LINKS_TITLE" placeholder:"TEXT" help:"The title of the pages that owner links open (API keys)."`
	LinksLogo   string   `name:"owner-links-logo" env:"APIKEYD_OWNER_LINKS_LOGO" placeholder:"FILE" help:"The logo of these pages: an SVG, PNG, JPEG, GIF or WebP image (none)."`
	LinksAccent string   `name:"owner-links-accent" env:"APIKEYD_OWNER_LINKS_ACCENT" placeholder:"#RRGGBB" help:"The accent colour of these pages (that of the console)."`
	LinksReturn string   `name:"owner-links-return" env:"APIKEYD_OWNER_LINKS_RETURN" placeholder:"URL" help:"Where these pages lead back to (nowhere)."`
	LinksFrames []string `name:"owner-links-frame-origins" env:"APIKEYD_OWNER_LINKS_FRAME_ORIGINS" placeholder:"ORIGINS" help:"The origins that may show these pages in a frame, such as https://app.example.com, between commas; frames need TLS (none)."`
}

var colour = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// Validate checks the flags, without reading files.
func (f *signInFlags) Validate() error {
	if f.PublicURL != "" && !isAddress(f.PublicURL) {
		return errors.New("--public-url must be a URL such as https://keys.example.com, without a query")
	}
	if f.LinksReturn != "" && !isAddress(f.LinksReturn) {
		return errors.New("--owner-links-return must be a URL such as https://app.example.com/settings, without a query")
	}
	if f.LinksAccent != "" && !colour.MatchString(f.LinksAccent) {
		return errors.New("--owner-links-accent must be a colour such as #0b63c5")
	}
	for _, origin := range f.LinksFrames {
		u, err := url.Parse(origin)
		if err != nil || !isAddress(origin) || u.Path != "" || strings.ContainsAny(origin, " ;,'*") {
			return errors.New("--owner-links-frame-origins must be origins such as https://app.example.com, between commas")
		}
	}
	return f.checkOIDC()
}

func (f *signInFlags) checkOIDC() error {
	if !f.oidc() {
		for flag, value := range map[string]string{
			"issuer": f.OIDCIssuer, "client-id": f.OIDCClientID, "client-secret-file": f.OIDCClientSecret, "grants-file": f.OIDCGrants,
		} {
			if value != "" {
				return fmt.Errorf("--oidc-%s needs --console-sign-in oidc or key,oidc", flag)
			}
		}
		return nil
	}
	for _, needed := range []struct{ flag, value string }{
		{"oidc-issuer", f.OIDCIssuer}, {"oidc-client-id", f.OIDCClientID}, {"oidc-client-secret-file", f.OIDCClientSecret},
		{"oidc-grants-file", f.OIDCGrants}, {"oidc-claim", f.OIDCClaim}, {"public-url", f.PublicURL},
	} {
		if needed.value == "" {
			return fmt.Errorf("--console-sign-in oidc needs --%s", needed.flag)
		}
	}
	if err := sso.CheckIssuer(f.OIDCIssuer); err != nil {
		return fmt.Errorf("--oidc-issuer %w", err)
	}
	if f.OIDCSession < 5*time.Minute || f.OIDCSession > 12*time.Hour {
		return errors.New("--oidc-session must be from 5m to 12h")
	}
	return nil
}

func (f *signInFlags) oidc() bool { return slices.Contains(f.ConsoleSignIn, "oidc") }

// isAddress reports whether a text is a URL of the web that needs no escaping.
func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		!strings.ContainsAny(text, "#?\"'<> ")
}

// publicURL is where people reach the service, without a slash at its end; empty if that is not set.
func (f *signInFlags) publicURL() string { return strings.TrimSuffix(f.PublicURL, "/") }

// Provider returns the identity provider; nil without single sign-on.
func (f *signInFlags) Provider() (*sso.Provider, error) {
	if !f.oidc() {
		return nil, nil //nolint:nilnil // it is off
	}
	const most = 64 << 10
	secret, _, err := readAtMost(f.OIDCClientSecret, most)
	if secret = bytes.TrimSpace(secret); err == nil && len(secret) == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("--oidc-client-secret-file: %w", err)
	}
	text, _, err := readAtMost(f.OIDCGrants, most)
	var grants []sso.Grant
	if err == nil {
		grants, err = sso.ParseGrants(text)
	}
	if err != nil {
		return nil, fmt.Errorf("--oidc-grants-file: %w", err)
	}
	return sso.New(sso.Config{
		Issuer: f.OIDCIssuer, ClientID: f.OIDCClientID, Secret: string(secret), Scopes: f.OIDCScopes, Claim: f.OIDCClaim, Grants: grants,
		Lasts: f.OIDCSession, Now: time.Now,
	}), nil
}

// linkPages reads how the pages of owner links look.
func (f *signInFlags) linkPages() (console.LinkPages, error) {
	p := console.LinkPages{Title: f.LinksTitle, Accent: f.LinksAccent, Return: f.LinksReturn, Framers: f.LinksFrames}
	if f.LinksLogo == "" {
		return p, nil
	}
	var err error
	if p.Logo, _, err = readAtMost(f.LinksLogo, console.MaxLogo+1); err == nil {
		if fault := console.LogoFault(p.Logo); fault != "" {
			err = errors.New(fault)
		}
	}
	if err != nil {
		return p, fmt.Errorf("--owner-links-logo: %w", err)
	}
	return p, nil
}

// entrance is what is read for the console before the database is opened.
type entrance struct {
	key    []byte // of its sessions; nil for a new one
	links  console.LinkPages
	signIn console.SignIn
}

// entrance reads what the console needs.
func (s *Settings) entrance(log *slog.Logger) (e entrance, err error) {
	if !s.Console {
		return e, nil
	}
	if e.key, err = s.consoleKey(log); err != nil {
		return e, err
	}
	if e.links, err = s.linkPages(); err != nil {
		return e, err
	}
	e.signIn = console.SignIn{NoKeys: !slices.Contains(s.ConsoleSignIn, "key"), Callback: s.publicURL() + console.CallbackPath}
	e.signIn.Provider, err = s.Provider()
	return e, err
}
