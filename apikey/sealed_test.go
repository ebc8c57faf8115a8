package apikey_test

import (
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"apikeyd/apikey"
)

func TestSealedSecrets(t *testing.T) {
	t.Parallel()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ recipient, identity, other string }{
		"classic": {classic.Recipient().String(), classic.String(), hybrid.String()},
		"hybrid":  {hybrid.Recipient().String(), hybrid.String(), classic.String()},
	} {
		if len(tt.recipient) > apikey.MaxRecipientLength {
			t.Errorf("%s: a public key has %d characters", name, len(tt.recipient))
		}
		to, err := apikey.ParseRecipient(tt.recipient)
		if err != nil || to.IsNone() {
			t.Fatal(name, err)
		}
		secret := apikey.NewSecret("ak", apikey.NewID())
		sealed, err := secret.SealTo(to)
		if err != nil {
			t.Fatal(name, err)
		}
		if strings.Contains(sealed, secret.Reveal()) {
			t.Errorf("%s: the secret is in clear", name)
		}
		again, err := secret.SealTo(to)
		if err != nil || again == sealed {
			t.Errorf("%s: sealed twice, a secret looks the same (%v)", name, err)
		}
		opened, err := apikey.OpenSecret(sealed, strings.NewReader("# a comment\n"+tt.identity+"\n"))
		if err != nil || opened.Reveal() != secret.Reveal() {
			t.Errorf("%s: opening: %v", name, err)
		}

		for what, bad := range map[string]struct {
			sealed, identity string
			want             error
		}{
			"another identity":   {sealed, tt.other, apikey.ErrNotForYou},
			"no identity":        {sealed, "", apikey.ErrIdentities},
			"a public key":       {sealed, tt.recipient, apikey.ErrIdentities},
			"cut":                {sealed[:len(sealed)/2], tt.identity, apikey.ErrNotSealed},
			"a letter changed":   {flip(sealed, len(sealed)-50), tt.identity, apikey.ErrNotSealed},
			"nothing":            {"", tt.identity, apikey.ErrNotSealed},
			"the secret itself":  {secret.Reveal(), tt.identity, apikey.ErrNotSealed},
			"too long":           {strings.Repeat(" ", 20_000) + sealed, tt.identity, apikey.ErrNotSealed},
			"something in front": {"hello\n" + sealed, tt.identity, apikey.ErrNotSealed},
		} {
			if _, err := apikey.OpenSecret(bad.sealed, strings.NewReader(bad.identity)); !errors.Is(err, bad.want) {
				t.Errorf("%s, %s: %v, want %v", name, what, err, bad.want)
			}
		}
	}
}

// flip changes one character of text.
func flip(text string, at int) string {
	other := "A"
	if text[at] == 'A' {
		other = "B"
	}
	return text[:at] + other + text[at+1:]
}

// Whatever is no public key is refused, and never repeated.
func TestRecipients(t *testing.T) {
	t.Parallel()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	good := identity.Recipient().String()
	for name, text := range map[string]string{
		"empty": "", "a private key": identity.String(), "cut": good[:40], "a letter changed": good[:20] + "b1" + good[22:],
		"another scheme": "ssh-ed25519 AAAA", "white space": good + "\n", "upper case": strings.ToUpper(good),
		"a beginning": "age1pq1", "a plugin": "age1yubikey1q",
	} {
		_, err := apikey.ParseRecipient(text)
		invalid, ok := errors.AsType[*apikey.InvalidError](err)
		if !ok || !strings.Contains(err.Error(), "recipient") || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v (%v)", name, err, invalid)
		}
	}
}
