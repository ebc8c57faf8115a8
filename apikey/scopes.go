package apikey

import (
	"fmt"
	"slices"
	"strings"
)

// The scopes that apikeyd itself interprets. All other scopes belong to the integrator's API.
const (
	ScopeRead   = "keys:read"   // list and get the owner's keys
	ScopeWrite  = "keys:write"  // create, change, rotate and revoke them
	ScopeVerify = "keys:verify" // verify any owner's keys
	ScopeAdmin  = "keys:admin"  // all of these for every owner; may grant any scope
)

// MaxScopes limits the scopes of a key.
const MaxScopes = 64

const (
	maxScopeLength = 128
	ownNamespace   = "keys:"
)

// Scopes is a set of scope tokens (RFC 6749, section 3.3), in the order given.
type Scopes []string

// CheckScopes returns an *InvalidError if a key cannot have these scopes: too many, too long, not scope
// tokens, repeated, or unknown ones of apikeyd's own namespace.
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

// IsScope reports whether s can be granted or required: it is a scope token of RFC 6749 without a comma.
// Keys from before commas were refused may have other scopes.
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

// CommaFault returns the message of a FieldError that says how to write the scopes between the commas of
// s. It returns "" if there is no comma, or another fault.
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

// Has reports whether a key with these scopes has scope. keys:admin includes the other scopes of apikeyd,
// but no scope of an integrator.
func (s Scopes) Has(scope string) bool {
	if slices.Contains(s, scope) {
		return true
	}
	return isOwn(scope) && slices.Contains(s, ScopeAdmin)
}

// Exercised returns the scopes of a key with these that a call makes use of which asks for scope: that one, and
// keys:admin beside any other of apikeyd's, because what the call did may have needed it.
func (s Scopes) Exercised(scope string) (used Scopes) {
	if slices.Contains(s, scope) {
		used = append(used, scope)
	}
	if scope != ScopeAdmin && isOwn(scope) && slices.Contains(s, ScopeAdmin) {
		used = append(used, ScopeAdmin)
	}
	return used
}

// Missing returns the scopes of want that s lacks.
func (s Scopes) Missing(want Scopes) Scopes {
	var missing Scopes
	for _, scope := range want {
		if !s.Has(scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// Ungrantable returns the scopes of want that a key with these scopes may not grant: those that it lacks,
// unless it has keys:admin.
func (s Scopes) Ungrantable(want Scopes) Scopes {
	if s.Has(ScopeAdmin) {
		return nil
	}
	return s.Missing(want)
}

// Inherited returns the scopes of a key that is created without scopes: keys:read and keys:write, as far
// as its creator has them.
func (s Scopes) Inherited() Scopes {
	inherited := Scopes{}
	for _, scope := range []string{ScopeRead, ScopeWrite} {
		if s.Has(scope) {
			inherited = append(inherited, scope)
		}
	}
	return inherited
}

// String joins the scopes with spaces, as in RFC 6749.
func (s Scopes) String() string { return strings.Join(s, " ") }

// ParseScopes is the inverse of String.
func ParseScopes(s string) Scopes { return Scopes(strings.Fields(s)) }
