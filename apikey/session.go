package apikey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Session says that a key belongs to somebody's session in the console, and how it began. It cannot be changed or
// rotated. Other keys have an empty Session.
type Session string

// The kinds of sessions.
const (
	SessionSignIn Session = "sign_in" // a person signed in at the identity provider
	SessionLink   Session = "link"    // somebody opened an owner link
)

// sessionMark ends the ids of sessions' keys, so that a look-up knows where to begin. One of 4 billion other keys
// has such an id too.
const sessionMark = "\x5e\x55\x10\x05"

// NewSessionID returns a new id for the key of a session.
func NewSessionID() ID {
	id := NewID()
	copy(id[len(id)-len(sessionMark):], sessionMark)
	return id
}

// IsSession reports whether an id may be that of a session's key.
func (id ID) IsSession() bool { return string(id[len(id)-len(sessionMark):]) == sessionMark }

// NewSessionKey is NewKey for the key of a session. With a zero id it gets a new one.
func (p Policy) NewSessionKey(now time.Time, s Settings, kind Session, id ID) (Key, Secret, error) {
	if id.IsZero() {
		id = NewSessionID()
	}
	secret := NewSecret(p.prefix(), id)
	key, err := p.KeyFor(now, s, secret)
	key.Session = kind
	return key, secret, err
}

const (
	// LeastSession is the shortest session that an owner link may begin.
	LeastSession = time.Minute
	// MostSession is the longest.
	MostSession = 12 * time.Hour
	// LinkTime is how long an owner link can be opened.
	LinkTime = 5 * time.Minute
	// linkPrefix begins the tokens of owner links.
	linkPrefix = "link"
)

// Why an owner link does not open.
var (
	// ErrNoLink says that there is none: it never was, was opened, or is too old, or its creator's key is no longer good.
	ErrNoLink = errors.New("no such owner link")
	// ErrTooManyLinks says that too many from one address were wrong.
	ErrTooManyLinks = errors.New("too many owner links that do not open came from your address; try again in a minute")
)

// Link is an owner link: whoever opens it gets a session with these settings, once.
type Link struct {
	ID       ID   // of the session's key, too
	Token    Hash // of its token
	Owner    string
	Name     string // of the session's key
	Scopes   Scopes
	Metadata Metadata
	Until    time.Time     // when it can no longer be opened
	Lasts    time.Duration // how long the session does, in whole seconds
}

// NewLink gives a link its id and token, which is stored nowhere. It returns an *InvalidError that lists all invalid
// fields.
func NewLink(now time.Time, l Link) (Link, Secret, error) {
	err := joinInvalid(CheckOwner(l.Owner), CheckName(l.Name), CheckScopes(l.Scopes), checkLinkScopes(l.Scopes), CheckMetadata(l.Metadata))
	if err != nil {
		return Link{}, Secret{}, err
	}
	token := NewSecret(linkPrefix, NewSessionID())
	l.ID, l.Token, l.Until, l.Metadata = token.ID(), token.Hash(), truncate(now).Add(LinkTime), l.Metadata.orEmpty()
	return l, token, nil
}

// linkScopes are the scopes of apikeyd that a link's session may have: it is for one owner's people.
var linkScopes = Scopes{ScopeRead, ScopeWrite}

func checkLinkScopes(scopes Scopes) error {
	for _, scope := range scopes {
		if isOwn(scope) && !slices.Contains(linkScopes, scope) {
			return Invalid("scopes", fmt.Sprintf("must not hold %s: of this service's scopes, a link gives only %s", scope,
				strings.Join(linkScopes, " and ")))
		}
	}
	if !slices.Contains(scopes, ScopeRead) {
		return Invalid("scopes", "must hold "+ScopeRead+": without it the page shows nothing")
	}
	return nil
}

// Settings returns the settings of the session's key. A creator, which is nil for the operator, passes on its limits and
// networks as it does to the keys that it creates.
func (l Link) Settings(now time.Time, p Policy, creator *Key) Settings {
	s := Settings{
		Owner: l.Owner, Name: l.Name, Scopes: l.Scopes, Metadata: l.Metadata, ExpiresAt: truncate(now).Add(p.Longest(l.Lasts)),
	}
	if creator != nil {
		s.RateLimit, s.Quota, s.AllowedCIDRs = creator.RateLimit, creator.Quota, creator.GrantableCIDRs()
	}
	return s
}

// MayLink returns a *DeniedError if k may not make this link, because it may not give what the link gives.
func (k Key) MayLink(l Link) error {
	if k.Session == SessionLink {
		return ErrNotByLink
	}
	if err := k.MayReach(l.Owner); err != nil {
		return err
	}
	return k.mayGrant(l.Scopes)
}

// ErrNotByLink refuses what an owner link's session is not for.
var ErrNotByLink = &DeniedError{Reason: "somebody who came by an owner link may only manage the owner's keys"}

// CheckNoSession returns a *DeniedError if the key belongs to a session: it could be prolonged, or renamed so that the
// audit log would name somebody else.
func (k Key) CheckNoSession() error {
	if k.Session != "" {
		return &DeniedError{Reason: "the key of a session can only be revoked"}
	}
	return nil
}

// grantable returns the scopes that k may give to other keys, unless it is an admin's. By an owner link, nobody makes or
// takes over a key that can manage keys: it would outlive the session.
func (k Key) grantable() Scopes {
	if k.Session != SessionLink {
		return k.Scopes
	}
	return slices.DeleteFunc(slices.Clone(k.Scopes), isOwn)
}
