// Package signertest signs as GitHub's secret scanning does, with keys of its own. It is for tests only.
package signertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/internal/signingkeys"
)

// Signer is a key pair with an identifier.
type Signer struct {
	ID  string
	key crypto.Signer
}

// New makes a key pair on P-256.
func New(t testing.TB, id string) Signer { return On(t, elliptic.P256(), id) }

// On makes a key pair on a curve.
func On(t testing.TB, curve elliptic.Curve, id string) Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Signer{id, key}
}

// Sign returns the signature over a body, in base64.
func (s Signer) Sign(t testing.TB, body string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	signature, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// Header returns the header of a request with this body.
func (s Signer) Header(t testing.TB, body string) http.Header {
	t.Helper()
	return http.Header{
		"Content-Type":                 {"application/json"},
		"Github-Public-Key-Identifier": {s.ID},
		"Github-Public-Key-Signature":  {s.Sign(t, body)},
	}
}

// List returns the public keys in GitHub's format.
func List(t testing.TB, signers ...Signer) []byte {
	t.Helper()
	type entry struct {
		Identifier string `json:"key_identifier"`
		Key        string `json:"key"`
		IsCurrent  bool   `json:"is_current"`
	}
	list := struct {
		PublicKeys []entry `json:"public_keys"`
	}{}
	for _, s := range signers {
		der, err := x509.MarshalPKIXPublicKey(s.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		list.PublicKeys = append(list.PublicKeys, entry{s.ID, string(text), true})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// File writes the public keys into a file, in GitHub's format.
func File(t testing.TB, signers ...Signer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "public-keys.json")
	if err := os.WriteFile(path, List(t, signers...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Keys returns the public keys, ready to verify.
func Keys(t testing.TB, signers ...Signer) *signingkeys.Keys {
	t.Helper()
	keys, err := signingkeys.Open(t.Context(), signingkeys.Source{
		Name: File(t, signers...), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
