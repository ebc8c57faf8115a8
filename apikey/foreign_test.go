package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// A secret is found by its digest in each scheme, whichever way the digest is written.
func TestForeignHash(t *testing.T) {
	t.Parallel()
	const secret, pepper = "sk_live_0123456789", "a pepper"
	mac := hmac.New(sha256.New, []byte(pepper))
	_, _ = mac.Write([]byte(secret))
	short, long := sha256.Sum256([]byte(secret)), sha512.Sum512([]byte(secret))
	digests := map[apikey.Scheme][]byte{apikey.SchemeSHA256: short[:], apikey.SchemeSHA512: long[:], apikey.SchemeHMAC: mac.Sum(nil)}
	presented := apikey.ForeignSecrets(secret, apikey.Schemes, []byte(pepper))
	seen := make(map[apikey.Hash]bool)
	for i, scheme := range apikey.Schemes {
		digest := digests[scheme]
		for _, text := range []string{
			hex.EncodeToString(digest), strings.ToUpper(hex.EncodeToString(digest)), base64.StdEncoding.EncodeToString(digest),
			base64.RawStdEncoding.EncodeToString(digest), base64.URLEncoding.EncodeToString(digest), base64.RawURLEncoding.EncodeToString(digest),
		} {
			got, err := apikey.ForeignHash(scheme, text)
			if err != nil || got != presented[i] {
				t.Errorf("%s of %s: %v, error %v", scheme, text, got, err)
			}
		}
		for _, text := range []string{"", "x", hex.EncodeToString(digest[1:]), base64.StdEncoding.EncodeToString(append(digest, 0)),
			" " + hex.EncodeToString(digest), "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"} {
			if _, err := apikey.ForeignHash(scheme, text); err == nil {
				t.Errorf("%s: %q is taken", scheme, text)
			}
		}
		seen[presented[i].Hash] = true
	}
	if clear, err := apikey.ForeignSecret(secret); err != nil || clear != presented[0] || len(seen) != len(apikey.Schemes) {
		t.Errorf("the secret in clear is %v, error %v", clear, err)
	}
	if n := len(apikey.ForeignSecrets(secret, apikey.Schemes, nil)); n != 2 {
		t.Errorf("without a pepper a secret can be %d, want 2", n)
	}
	ours, _ := newKey(t)
	for name, secret := range map[string]string{
		"ours": ours, "short": "123456789012345", "a space": "0123456789 0123456789", "not ASCII": "0123456789é0123456789",
		"a line": "0123456789\n0123456789", "long": strings.Repeat("x", 513), "none": "",
	} {
		if _, err := apikey.ForeignSecret(secret); err == nil {
			t.Errorf("%s: the secret is taken", name)
		}
	}
	for _, secret := range []string{ours, "", strings.Repeat("x", 513)} {
		if all := apikey.ForeignSecrets(secret, apikey.Schemes, []byte(pepper)); all != nil {
			t.Errorf("%d characters are looked up", len(secret))
		}
	}
}

func newKey(t *testing.T) (string, apikey.Key) {
	t.Helper()
	key, secret, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{Owner: "a", Name: "a", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal(), key
}

// A rotation gives a key our form. It shows its foreign secret until the grace ends.
func TestForeignKeyInRotation(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	foreign, err := apikey.ForeignSecret("0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	key, err := apikey.Policy{Prefix: "shop"}.ImportedKey(now, apikey.Settings{Owner: "a", Name: "a", ExpiresAt: now.Add(time.Hour)}, foreign)
	if err != nil {
		t.Fatal(err)
	}
	shows := func(k apikey.Key, at time.Time) bool {
		shown := strings.Contains(string(k.AppendJSON(nil, at)), `"foreign_secret":true`)
		if shown != k.HasForeign(at) || shown != k.Accepts(foreign.Hash, at) && !k.IsRevoked() {
			t.Errorf("at %s the key accepts its foreign secret: %t, and shows it: %t", at, k.Accepts(foreign.Hash, at), shown)
		}
		return shown
	}
	secret := key.NewSecret()
	rotated := key.Rotate(apikey.Rotation{From: key.SecretHash, To: secret.Hash(), Grace: time.Minute}, now)
	again := rotated.Rotate(apikey.Rotation{From: rotated.SecretHash, To: key.NewSecret().Hash(), Grace: time.Minute}, now)
	if !shows(key, now) || !shows(rotated, now) || shows(rotated, now.Add(time.Minute)) || shows(rotated.EndGrace(), now) || shows(again, now) ||
		shows(key.Rotate(apikey.Rotation{From: key.SecretHash, To: secret.Hash()}, now), now) || shows(key.Revoke(now, ""), now) {
		t.Error("the key shows its foreign secret at a wrong time")
	}
	if !rotated.Accepts(secret.Hash(), now) || !strings.HasPrefix(secret.Prefix(), "shop_") || secret.Prefix() != key.Prefix {
		t.Errorf("the new secret begins with %s, and the key with %s", secret.Prefix(), key.Prefix)
	}
	if next := rotated.NextChange(now); !next.Equal(now.Add(time.Minute)) {
		t.Errorf("the JSON changes next at %s", next)
	}
}
