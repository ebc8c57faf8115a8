// Package signingkeys holds the public keys by which GitHub signs reports of its secret scanning, and
// verifies signatures with them.
package signingkeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxSize limits a list of keys, in bytes.
	maxSize = 64 << 10
	// fetchTimeout is shorter than a request may take, because a request can wait for a fetch.
	fetchTimeout = 5 * time.Second
	// readInterval is the least time between two readings of the source.
	readInterval = time.Minute
)

// The reasons why Verify refuses a signature.
var (
	ErrUnknownKey   = errors.New("no key has this identifier")
	ErrBadSignature = errors.New("the signature does not match")
)

// Source says where the keys come from, in the format of GitHub's list.
type Source struct {
	Name      string            // a file, or an https URL
	Transport http.RoundTripper // for the URL; nil is http.DefaultTransport
	Now       func() time.Time
	Log       *slog.Logger
}

// Keys are the public keys of a source. When asked for an unknown one, they read the source again, at most
// once a minute. A failed reading keeps the keys that were there.
type Keys struct {
	source  Source
	current atomic.Pointer[map[string]*ecdsa.PublicKey]

	reading sync.Mutex
	next    time.Time // when the source may be read again
}

// Check returns an error unless name can be a source.
func Check(name string) error {
	if scheme, _, isURL := strings.Cut(name, "://"); isURL && scheme != "https" {
		return errors.New("must be a file or an https:// URL")
	}
	if !isURL(name) {
		return nil
	}
	if u, err := url.Parse(name); err != nil || u.Host == "" || u.User != nil {
		return errors.New("must be a file or an https:// URL with a host and without a password")
	}
	return nil
}

func isURL(name string) bool { return strings.HasPrefix(name, "https://") }

// Open reads the source. A file must be readable. A URL that cannot be fetched is logged: the service must
// start without it, and the first signature is a reason to try again.
func Open(ctx context.Context, source Source) (*Keys, error) {
	k := &Keys{source: source}
	k.current.Store(&map[string]*ecdsa.PublicKey{})
	err := k.read(ctx)
	if err != nil && isURL(source.Name) {
		k.warn(ctx, err)
		return k, nil
	}
	k.next = source.Now().Add(readInterval)
	return k, err
}

// Count reads the source once, and returns how many keys it has.
func Count(ctx context.Context, source Source) (int, error) {
	k := &Keys{source: source}
	if err := k.read(ctx); err != nil {
		return 0, err
	}
	return len(*k.current.Load()), nil
}

// Verify checks a signature over a body: the base64 of an ASN.1 ECDSA signature over its SHA-256. It returns
// ErrUnknownKey or ErrBadSignature.
func (k *Keys) Verify(ctx context.Context, id, signature string, body []byte) error {
	key := k.key(ctx, id)
	if key == nil {
		return ErrUnknownKey
	}
	der, err := base64.StdEncoding.Strict().DecodeString(signature)
	digest := sha256.Sum256(body)
	if err != nil || !ecdsa.VerifyASN1(key, digest[:], der) {
		return ErrBadSignature
	}
	return nil
}

func (k *Keys) key(ctx context.Context, id string) *ecdsa.PublicKey {
	if key := (*k.current.Load())[id]; key != nil {
		return key
	}
	// Requests that come while the source is read wait for it: they may be signed by its new key.
	k.reading.Lock()
	defer k.reading.Unlock()
	if key := (*k.current.Load())[id]; key != nil {
		return key
	}
	if now := k.source.Now(); !now.Before(k.next) {
		k.next = now.Add(readInterval)
		// The client that asked may be gone before the answer comes.
		if err := k.read(context.WithoutCancel(ctx)); err != nil {
			k.warn(ctx, err)
		}
	}
	return (*k.current.Load())[id]
}

func (k *Keys) warn(ctx context.Context, err error) {
	k.source.Log.WarnContext(ctx, "the keys of secret scanning cannot be read; keeping those that are known",
		"error", err, "known", len(*k.current.Load()))
}

func (k *Keys) read(ctx context.Context) error {
	load := k.source.load
	if isURL(k.source.Name) {
		load = k.source.fetch
	}
	text, err := load(ctx)
	if err != nil {
		return err
	}
	keys, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", k.source.Name, err)
	}
	k.current.Store(&keys)
	return nil
}

func (s Source) load(context.Context) ([]byte, error) {
	file, err := os.Open(s.Name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return limited(file)
}

func (s Source) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Name, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	c := http.Client{Transport: s.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // only this URL is trusted
	}}
	answer, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d, not 200", s.Name, answer.StatusCode)
	}
	return limited(answer.Body)
}

// limited reads at most maxSize.
func limited(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = fmt.Errorf("the list of keys has more than %d KiB", maxSize>>10)
	}
	return text, err
}

// parse reads GitHub's list. It passes over keys that are not ECDSA on P-256, which cannot have made a
// signature that counts here.
func parse(text []byte) (map[string]*ecdsa.PublicKey, error) {
	var list struct {
		PublicKeys []struct {
			Identifier string `json:"key_identifier"`
			Key        string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, errors.New(`is not JSON such as {"public_keys": [{"key_identifier": "…", "key": "-----BEGIN PUBLIC KEY-----…"}]}`)
	}
	keys := make(map[string]*ecdsa.PublicKey)
	for _, listed := range list.PublicKeys {
		block, _ := pem.Decode([]byte(listed.Key))
		if block == nil || listed.Identifier == "" {
			continue
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if key, ok := parsed.(*ecdsa.PublicKey); err == nil && ok && key.Curve == elliptic.P256() {
			keys[listed.Identifier] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("lists no ECDSA key on the curve P-256 with an identifier")
	}
	return keys, nil
}
