package sso

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"apikeyd/apikey"
)

// Grant says what people get whose claim has a value. The first Grant that applies counts.
type Grant struct {
	Value  string        `json:"value"` // * is every value
	Owner  string        `json:"owner"`
	Scopes apikey.Scopes `json:"scopes"`
}

// anyValue is the value of a Grant that applies to everybody who can sign in.
const anyValue = "*"

// ParseGrants reads Grants from JSON: a list of objects.
func ParseGrants(text []byte) ([]Grant, error) {
	var grants []Grant
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&grants); err != nil || decoder.More() {
		return nil, errors.New(`must hold a list such as [{"value": "admins", "owner": "admin", "scopes": ["keys:admin"]}]`)
	}
	if len(grants) == 0 {
		return nil, errors.New("must hold at least one grant")
	}
	for i, g := range grants {
		err := errors.Join(apikey.CheckOwner(g.Owner), apikey.CheckScopes(g.Scopes))
		switch {
		case g.Value == "":
			err = errors.New("value must not be empty; * is every value")
		case err == nil && !g.Scopes.Has(apikey.ScopeRead):
			err = errors.New("scopes must hold " + apikey.ScopeRead + ", without which the console shows nothing")
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return grants, nil
}

// settings returns the settings of the session of somebody with these claims.
func (p *Provider) settings(subject string, claims map[string]any) (s apikey.Settings, err error) {
	values := valuesOf(claims[p.config.Claim])
	at := slices.IndexFunc(p.config.Grants, func(g Grant) bool { return g.Value == anyValue || slices.Contains(values, g.Value) })
	if at < 0 {
		return s, &RefusedError{Reason: "You are signed in at the identity provider, but nothing is granted to you here. Ask the operator of this service.",
			cause: fmt.Errorf("nothing is granted for %s", p.config.Claim)}
	}
	grant := p.config.Grants[at]
	email, _ := claims["email"].(string)
	if verified := claims["email_verified"]; verified != true && verified != "true" {
		email = "" // anybody could say that it is theirs
	}
	user, _ := claims["preferred_username"].(string)
	s = apikey.Settings{
		Owner: grant.Owner, Scopes: grant.Scopes, Name: subject, ExpiresAt: p.config.Now().Add(p.config.Lasts),
		Metadata: apikey.Metadata{"issuer": p.config.Issuer, "subject": subject},
	}
	if name := cmp.Or(email, user); name != "" && apikey.CheckName(name) == nil {
		s.Name = name
	}
	if email != "" {
		s.Metadata["email"] = email
	}
	if apikey.CheckName(s.Name) != nil || apikey.CheckMetadata(s.Metadata) != nil {
		return s, &RefusedError{Reason: "The identity provider calls you something that this service cannot store."}
	}
	return s, nil
}

// valuesOf returns the values of a claim, which is a text or a list of texts.
func valuesOf(claim any) (values []string) {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case []any:
		for _, one := range c {
			if text, is := one.(string); is {
				values = append(values, text)
			}
		}
	}
	return values
}

// CheckIssuer returns an error unless a text is the URL of an issuer: https, or http on this machine.
func CheckIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || !secure(text) {
		return errors.New("must be an https URL, without a query")
	}
	return nil
}

// secure reports whether all addresses are https, or http on this machine.
func secure(addresses ...string) bool {
	return !slices.ContainsFunc(addresses, func(text string) bool {
		u, err := url.Parse(text)
		if err != nil {
			return true
		}
		ip := net.ParseIP(u.Hostname())
		local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
		return u.Scheme != "https" && (u.Scheme != "http" || !local)
	})
}
