package apikey

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scheme is how a foreign secret is hashed: one that another service issued, and that was imported.
type Scheme string

// The schemes. A secret has one hash in each, so that an index finds it. Hashes with a salt of their own, such as
// bcrypt's, are no schemes: each presented secret would have to be compared with every one of them.
const (
	SchemeSHA256 Scheme = "sha256"
	SchemeSHA512 Scheme = "sha512"
	SchemeHMAC   Scheme = "hmac-sha256" // with a pepper, which is kept outside the database
)

// Schemes are all schemes. A scheme's place in the list is stored.
var Schemes = []Scheme{SchemeSHA256, SchemeSHA512, SchemeHMAC}

// size is how many bytes a digest has.
func (s Scheme) size() int {
	if s == SchemeSHA512 {
		return sha512.Size
	}
	return sha256.Size
}

const (
	minForeign = 16  // shorter secrets can be guessed from their hash
	maxForeign = 512 // longer ones are not looked up
)

// Foreign identifies a foreign secret, by the hash that its key has as SecretHash or OldSecretHash.
type Foreign struct {
	Scheme Scheme
	Hash   Hash // of the digest; no hash of a secret of our own is equal to it
}

// ForeignUse says which of a key's secrets is foreign.
type ForeignUse int

// The secrets that can be foreign. A rotation turns the current one into the old one.
const (
	ForeignNone ForeignUse = iota
	ForeignCurrent
	ForeignOld
)

// NewForeign returns a foreign secret from its digest in a scheme.
func NewForeign(scheme Scheme, digest []byte) Foreign {
	text := append([]byte("apikeyd foreign secret "+scheme+" "), digest...)
	return Foreign{scheme, sha256.Sum256(text)}
}

// ForeignSecret returns a foreign secret that is known in clear. It returns an *InvalidError unless it consists of
// 16 to 512 printable ASCII characters without spaces, which every header can carry, or if it has our own form.
func ForeignSecret(secret string) (Foreign, error) {
	plain := strings.IndexFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	if !plain || len(secret) < minForeign || len(secret) > maxForeign {
		return Foreign{}, Invalid("secret", fmt.Sprintf("must be %d to %d ASCII characters without spaces", minForeign, maxForeign))
	}
	if _, ok := parseSecret(secret); ok {
		return Foreign{}, Invalid("secret", "was issued by apikeyd, and works only where its key is; move the database instead")
	}
	return foreignSecrets(secret, []Scheme{SchemeSHA256}, nil)[0], nil
}

// ForeignHash returns a foreign secret from the text of its digest: in hex, base64 or base64url, with or without
// padding. It returns an *InvalidError for other text.
func ForeignHash(scheme Scheme, text string) (Foreign, error) {
	digest, err := hex.DecodeString(text)
	if err != nil || len(digest) != scheme.size() {
		encoding := base64.RawStdEncoding.Strict()
		if strings.ContainsAny(text, "-_") {
			encoding = base64.RawURLEncoding.Strict()
		}
		digest, err = encoding.DecodeString(strings.TrimRight(text, "="))
	}
	if err != nil || len(digest) != scheme.size() {
		return Foreign{}, Invalid("hash", fmt.Sprintf("must be the %d bytes of a %s digest in hex, base64 or base64url", scheme.size(), scheme))
	}
	return NewForeign(scheme, digest), nil
}

// ForeignSecrets returns what a presented secret can be in these schemes: nothing if it has our own form or is too
// long. Without a pepper, SchemeHMAC is left out.
func ForeignSecrets(secret string, schemes []Scheme, pepper []byte) []Foreign {
	if _, ours := parseSecret(secret); ours || secret == "" || len(secret) > maxForeign {
		return nil
	}
	return foreignSecrets(secret, schemes, pepper)
}

func foreignSecrets(secret string, schemes []Scheme, pepper []byte) []Foreign {
	all := make([]Foreign, 0, len(schemes))
	for _, scheme := range schemes {
		switch scheme {
		case SchemeSHA256:
			digest := sha256.Sum256(bytesOf(secret))
			all = append(all, NewForeign(scheme, digest[:]))
		case SchemeSHA512:
			digest := sha512.Sum512(bytesOf(secret))
			all = append(all, NewForeign(scheme, digest[:]))
		case SchemeHMAC:
			if len(pepper) > 0 {
				mac := hmac.New(sha256.New, pepper)
				_, _ = mac.Write(bytesOf(secret)) // a hash takes everything
				all = append(all, NewForeign(scheme, mac.Sum(nil)))
			}
		}
	}
	return all
}

// ImportedKey is NewKey with a foreign secret. The key gets a secret of our form when it is rotated.
func (p Policy) ImportedKey(now time.Time, s Settings, foreign Foreign) (Key, error) {
	key, _, err := p.NewKey(now, s)
	if err != nil {
		return Key{}, err
	}
	key.SecretHash, key.Foreign = foreign.Hash, ForeignCurrent
	return key, nil
}

// HasForeign reports whether a foreign secret is one of the key's secrets, whether or not the key is expired or
// suspended.
func (k *Key) HasForeign(now time.Time) bool {
	return !k.IsRevoked() && (k.Foreign == ForeignCurrent || k.Foreign == ForeignOld && k.OldSecretUntil.After(now))
}

// ImportedField is the name under which the audit log records a new key's scheme. It is no field of a key.
const ImportedField = "imported"

// Imported adds to what the audit log says of a new key that its secret is foreign.
func (d Differences) Imported(scheme Scheme) Differences {
	d = append(d, Difference{Field: ImportedField, To: appendText(nil, string(scheme))})
	slices.SortFunc(d, func(a, b Difference) int { return cmp.Compare(a.Field, b.Field) })
	return d
}
