package apikey

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Recipient is an age public key (age-encryption.org/v1) that secrets can be sealed to. The zero Recipient is none.
type Recipient struct{ key age.Recipient }

// MaxRecipientLength is the length of the longest public key: X25519 with ML-KEM-768.
const MaxRecipientLength = 1959

const (
	classicRecipient = "age1"
	hybridRecipient  = "age1pq1" // resists quantum computers

	// maxSealedLength bounds what OpenSecret reads. A hybrid header takes 1.6 KB of text.
	maxSealedLength = 16 << 10
)

// ParseRecipient reads an age public key, classic or hybrid. It returns an *InvalidError for other text, which it never
// repeats: it may be a private key.
func ParseRecipient(text string) (r Recipient, err error) {
	if strings.HasPrefix(text, hybridRecipient) {
		r.key, err = age.ParseHybridRecipient(text)
	} else {
		r.key, err = age.ParseX25519Recipient(text)
	}
	if err != nil || !strings.HasPrefix(text, classicRecipient) {
		return Recipient{}, Invalid("recipient", "must be the public key that age-keygen prints, complete: it begins with age1")
	}
	return r, nil
}

// IsNone reports whether r is the zero Recipient.
func (r Recipient) IsNone() bool { return r.key == nil }

// SealTo encrypts the secret to a recipient, who opens it with OpenSecret or the program age. The result is an armored
// age file.
func (s Secret) SealTo(r Recipient) (string, error) {
	var text strings.Builder
	wrapper := armor.NewWriter(&text)
	w, err := age.Encrypt(wrapper, r.key)
	if err == nil {
		_, err = io.WriteString(w, s.Reveal())
	}
	if err == nil {
		err = errors.Join(w.Close(), wrapper.Close())
	}
	if err != nil {
		return "", fmt.Errorf("sealing a secret: %w", err)
	}
	return text.String(), nil
}

// The errors of OpenSecret.
var (
	ErrIdentities = errors.New("this is not a file of age identities, as age-keygen writes it")
	ErrNotSealed  = errors.New("this is not a sealed secret, or it is incomplete")
	ErrNotForYou  = errors.New("the secret was sealed to the public key of another identity")
)

// OpenSecret decrypts a sealed secret with age identities (private keys), one per line. It returns one of the errors
// above, or ErrMalformed if what was sealed is no secret.
func OpenSecret(sealed string, identities io.Reader) (Secret, error) {
	keys, err := age.ParseIdentities(identities)
	if err != nil {
		return Secret{}, ErrIdentities // the cause may hold a part of a private key
	}
	if len(sealed) > maxSealedLength {
		return Secret{}, ErrNotSealed
	}
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), keys...)
	if _, foreign := errors.AsType[*age.NoIdentityMatchError](err); foreign {
		return Secret{}, ErrNotForYou
	}
	if err != nil {
		return Secret{}, ErrNotSealed
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return Secret{}, ErrNotSealed
	}
	return ParseSecret(string(text))
}
