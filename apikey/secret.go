package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"unsafe"
)

// The widths of a secret's parts after "PREFIX_"; docs/key-format.md specifies them.
const (
	idWidth       = 22
	randomWidth   = 32
	checksumWidth = 6
	bodyWidth     = idWidth + randomWidth + checksumWidth
)

// ShownDigits is how many digits of the id the prefix in answers shows.
const ShownDigits = 8

// DefaultPrefix begins a secret unless the operator chooses another.
const DefaultPrefix = "ak"

const maxPrefixLength = 20

// redacted replaces secrets and hashes in any output.
const redacted = "[redacted]"

// ErrMalformed says that text cannot be a secret: its form, checksum or id is wrong.
var ErrMalformed = errors.New("malformed secret")

// Secret is the credential of a key. It cannot be printed, logged or encoded: only Reveal returns its text.
// The zero Secret has none.
type Secret struct {
	text *string // a pointer: fmt prints unexported fields without calling their methods
	id   ID
}

// NewSecret makes a secret for the key id from 32 random base62 digits (190 bits). The prefix must satisfy
// CheckPrefix.
func NewSecret(prefix string, id ID) Secret {
	text := make([]byte, len(prefix)+1+bodyWidth)
	copy(text, prefix)
	text[len(prefix)] = '_'
	body := text[len(prefix)+1:]
	idDigits(body[:idWidth], id)
	randomBase62(body[idWidth : idWidth+randomWidth])
	checksumDigits(body[idWidth+randomWidth:], text[:len(text)-checksumWidth])
	return secretOf(string(text), id)
}

func secretOf(text string, id ID) Secret { return Secret{text: &text, id: id} }

// ParseSecret reads a secret with any allowed prefix. It returns ErrMalformed for all text that NewSecret
// could not have made.
func ParseSecret(s string) (Secret, error) {
	id, ok := parseSecret(s)
	if !ok {
		return Secret{}, ErrMalformed
	}
	return secretOf(s, id), nil
}

// Identify returns the id of a secret's key and the secret's hash. It reports false where ParseSecret
// returns ErrMalformed. It does not allocate.
func Identify(s string) (ID, Hash, bool) {
	id, ok := parseSecret(s)
	if !ok {
		return ID{}, Hash{}, false
	}
	return id, sha256.Sum256(bytesOf(s)), true
}

func parseSecret(s string) (ID, bool) {
	split := len(s) - bodyWidth - 1
	if split < 1 || s[split] != '_' || !isPrefix(s[:split]) {
		return ID{}, false
	}
	body, end := s[split+1:], len(s)-checksumWidth
	if !isBase62(body[idWidth : idWidth+randomWidth]) {
		return ID{}, false
	}
	if _, sum, ok := parseBase62(s[end:]); !ok || sum != uint64(crc32.ChecksumIEEE(bytesOf(s[:end]))) {
		return ID{}, false
	}
	return parseIDDigits(body[:idWidth])
}

// bytesOf returns the bytes of s without a copy, to be read only. Two copies would make Identify 38 % slower
// (BenchmarkIdentify), and a verify request, which identifies two secrets, 4 %.
func bytesOf(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // G103: callers only read
}

// checksumDigits writes the CRC-32 (IEEE) of the preceding part of a secret.
func checksumDigits(dst, before []byte) {
	putBase62(dst, 0, uint64(crc32.ChecksumIEEE(before)))
}

// CheckPrefix returns an error unless a prefix for new secrets matches [a-z][a-z0-9_]{0,19}.
func CheckPrefix(prefix string) error {
	if !isPrefix(prefix) {
		return fmt.Errorf("a key prefix is 1 to %d of a-z, 0-9 and _, beginning with a letter", maxPrefixLength)
	}
	return nil
}

func isPrefix(prefix string) bool {
	ok := prefix != "" && len(prefix) <= maxPrefixLength && prefix[0] >= 'a' && prefix[0] <= 'z'
	for i := range len(prefix) {
		c := prefix[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_')
	}
	return ok
}

// ID returns the id of the key that the secret belongs to.
func (s Secret) ID() ID { return s.id }

// Prefix returns PREFIX_ and the first eight digits of the id: enough to recognise a key, and useless as a
// credential.
func (s Secret) Prefix() string {
	text := s.Reveal()
	return text[:len(text)-bodyWidth+ShownDigits]
}

// Hash returns the hash that is stored instead of the secret.
func (s Secret) Hash() Hash { return sha256.Sum256(bytesOf(s.Reveal())) }

// Reveal returns the secret's text. Only the places where a secret may leave the program call it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", for JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Hash is the SHA-256 of a secret. A secret has 190 random bits, so a slow password hash would add cost
// but no security.
type Hash [sha256.Size]byte

// Equal compares in constant time.
func (h Hash) Equal(other Hash) bool { return subtle.ConstantTimeCompare(h[:], other[:]) == 1 }

// String returns "[redacted]".
func (h Hash) String() string { return redacted }

// Format writes "[redacted]" for every verb.
func (h Hash) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns "[redacted]".
func (h Hash) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", for JSON too.
func (h Hash) MarshalText() ([]byte, error) { return []byte(redacted), nil }
