package handlers_test

import (
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// An age key pair.
const (
	testRecipient = "age1ggyq62qsv84jd87gd3x6umzm8jm8wcy442hu0y5pk050v9jjgezqhjwwgn"
	testIdentity  = "AGE-SECRET-KEY-1AYSQAHGLEF7MUSK238CXFMEULFR5YMDKE64STW0ZC7RZ9T5GJ6JQD8ZMZ0"
)

// open returns a sealed secret.
func (k *kit) open(sealed string) string {
	k.Helper()
	secret, err := apikey.OpenSecret(sealed, strings.NewReader(testIdentity))
	k.must(err)
	return secret.Reveal()
}

// A sealed secret works like any other, and no answer shows it in clear (which the kit checks).
func TestSealedSecrets(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.create(k.admin, fields{"name": "ordered", "recipient": testRecipient}).want(201).key()
	first := made.with(k.open(made.Sealed))
	k.get(first, keysPath).want(200)

	rotated := k.rotate(first, keyPath(made.ID), fields{"recipient": testRecipient, "grace_seconds": 60}).want(200).key()
	second := made.with(k.open(rotated.Sealed))
	k.get(first, keysPath).want(200)
	k.clock.Advance(time.Minute)
	k.get(first, keysPath).refused(401, "CREDENTIAL_INVALID")
	k.get(second, keysPath).want(200)
}

// A recipient that cannot be one changes nothing, and no answer repeats it.
func TestUnusableRecipients(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "kept"})
	before := len(k.everything())
	for name, recipient := range map[string]any{
		"a private key": testIdentity, "cut": testRecipient[:50], "a letter changed": strings.Replace(testRecipient, "ggyq", "ggyp", 1),
		"empty": "", "null": nil, "a list": []string{testRecipient}, "too long": "age1" + strings.Repeat("q", 3000),
		"an SSH key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEJ5", "a plugin's": "age1yubikey1qg8",
	} {
		k.Run(name, func(k *kit) {
			for _, answer := range []response{
				k.create(k.admin, fields{"name": "refused", "recipient": recipient}),
				k.rotate(k.admin, keyPath(made.ID), fields{"recipient": recipient}),
			} {
				answer.invalid("recipient")
				if text, ok := recipient.(string); ok && text != "" && strings.Contains(string(answer.raw), text) {
					k.Errorf("the answer repeats the recipient: %s", answer.raw)
				}
			}
		})
	}
	if after := len(k.everything()); after != before {
		k.Errorf("there are %d keys, want %d", after, before)
	}
	k.get(made, keysPath).want(200)
}
