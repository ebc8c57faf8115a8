package apikey

import (
	"fmt"
	"slices"
	"strings"
)

// The scopes that apikeyd itself reads. Every other scope belongs to the
// integrator's API.
const (
	ScopeRead   = "keys:read"   // list and get the owner's keys
	ScopeWrite  = "keys:write"  // create, change, rotate and revoke them
	ScopeVerify = "keys:verify" // verify any owner's keys
	ScopeAdmin  = "keys:admin"  // all of that for every owner; may grant any scope
)

// MaxScopes is how many scopes a key can have.
const MaxScopes = 64

const (
	maxScopeLength = 128
	ownNamespace   = "keys:"
)

// Scopes is a set of scope tokens (RFC 6749, section 3.3), in the order given.
type Scopes []string

// CheckScopes says what is wrong with scopes asked for a key: too many, too long,
// not a scope token, named twice, or an unknown one of our own namespace.
func CheckScopes(scopes Scopes) error {
	const field = "scopes"
	if len(scopes) > MaxScopes {
		return Invalid(field, fmt.Sprintf("must be at most %d scopes", MaxScopes))
	}
	seen := make(map[string]bool, len(scopes))
	for _, scope := range scopes {
		switch comma := CommaFault(scope); {
		case comma != "":
			return Invalid(field, comma)
		case !IsScope(scope):
			return Invalid(field, fmt.Sprintf("must each be 1 to %d printable ASCII characters, "+
				"without spaces, commas, quotes and backslashes", maxScopeLength))
		case strings.HasPrefix(scope, ownNamespace) && !isOwn(scope):
			return Invalid(field, fmt.Sprintf("must not begin with %q, except %s, %s, %s and %s",
				ownNamespace, ScopeRead, ScopeWrite, ScopeVerify, ScopeAdmin))
		case holdsSecret(scope):
			return Invalid(field, "must not hold the secret of a key")
		case seen[scope]:
			return Invalid(field, "must not name a scope twice")
		}
		seen[scope] = true
	}
	return nil
}

// IsScope reports whether s is a scope that may be granted or asked for: a scope token of
// RFC 6749 without a comma. Keys that were made when commas were allowed may hold others.
func IsScope(s string) bool { return isScopeToken(s) && !strings.Contains(s, ",") }

func isScopeToken(s string) bool {
	if s == "" || len(s) > maxScopeLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7E || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// CommaFault says which scopes stand between the commas of s, in the words of a FieldError.
// It returns "" if there is no comma, or something else is wrong too.
func CommaFault(s string) string {
	if !isScopeToken(s) || !strings.Contains(s, ",") {
		return ""
	}
	parts := strings.FieldsFunc(s, func(c rune) bool { return c == ',' })
	switch len(parts) {
	case 0:
		return "must not be a comma"
	case 1:
		return Redact(fmt.Sprintf(`must not hold a comma: write "%s"`, parts[0]))
	}
	last := len(parts) - 1
	return Redact(fmt.Sprintf(`must not hold a comma: write "%s" and "%s" as separate scopes`,
		strings.Join(parts[:last], `", "`), parts[last]))
}

func isOwn(scope string) bool {
	switch scope {
	case ScopeRead, ScopeWrite, ScopeVerify, ScopeAdmin:
		return true
	}
	return false
}

// Has reports whether a key with these scopes holds scope. keys:admin includes the
// three other scopes of apikeyd, and no scope of an integrator.
func (s Scopes) Has(scope string) bool {
	if slices.Contains(s, scope) {
		return true
	}
	return isOwn(scope) && slices.Contains(s, ScopeAdmin)
}

// Missing returns those of want that s does not hold.
func (s Scopes) Missing(want Scopes) Scopes {
	var missing Scopes
	for _, scope := range want {
		if !s.Has(scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// Ungrantable returns those of want that a key with these scopes may not give to
// another key: what it does not hold itself, unless it has keys:admin.
func (s Scopes) Ungrantable(want Scopes) Scopes {
	if s.Has(ScopeAdmin) {
		return nil
	}
	return s.Missing(want)
}

// Inherited returns the scopes of a key that is created without naming any: those
// of keys:read and keys:write that its creator holds.
func (s Scopes) Inherited() Scopes {
	inherited := Scopes{}
	for _, scope := range []string{ScopeRead, ScopeWrite} {
		if s.Has(scope) {
			inherited = append(inherited, scope)
		}
	}
	return inherited
}

// String joins the scopes by spaces, as RFC 6749 writes them.
func (s Scopes) String() string { return strings.Join(s, " ") }

// ParseScopes is the inverse of String.
func ParseScopes(s string) Scopes { return Scopes(strings.Fields(s)) }
