package apikey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"apikeyd/apikey"
)

func TestNewSecret(t *testing.T) {
	seen := make(map[string]bool)
	digits := make(map[rune]int)
	for range 2000 {
		id := apikey.NewID()
		secret := apikey.NewSecret("acme_1", id)
		parsed, err := apikey.ParseSecret(secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if parsed.ID() != id || parsed.Hash() != secret.Hash() {
			t.Fatal("a secret changed on its way through text")
		}
		if seen[secret.Prefix()] || len(secret.Prefix()) != len("acme_1_")+8 {
			t.Fatalf("prefix %q does not tell keys apart", secret.Prefix())
		}
		seen[secret.Prefix()] = true
		for _, c := range secret.Reveal()[len("acme_1_")+22:][:32] {
			digits[c]++
		}
	}
	// 64,000 draws from 62 digits: 1032 each, with a standard deviation of 32.
	if len(digits) != 62 {
		t.Errorf("%d different random digits, want 62", len(digits))
	}
	for c, n := range digits {
		if n < 1032-8*32 || n > 1032+8*32 {
			t.Errorf("digit %c came %d times, far from 1032", c, n)
		}
	}
}

func TestParseSecretRefuses(t *testing.T) {
	good := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	body := strings.TrimPrefix(good, "ak_")
	for name, text := range map[string]string{
		"empty":                   "",
		"only a prefix":           "ak_",
		"no prefix":               body,
		"no prefix but _":         "_" + body,
		"no underscore":           "ak" + body,
		"hyphen":                  "ak-" + body,
		"prefix with a digit":     "1k_" + body,
		"prefix of 21 characters": strings.Repeat("a", 21) + "_" + body,
		"prefix in another case":  "aK_" + body,
		"one character short":     good[:len(good)-1],
		"one character long":      good + "0",
		"trailing line break":     good + "\n",
		"leading space":           " " + good,
		"foreign character":       good[:40] + "-" + good[41:],
		"NUL":                     good[:40] + "\x00" + good[41:],
		"two secrets":             good + good,
	} {
		if _, err := apikey.ParseSecret(text); !errors.Is(err, apikey.ErrMalformed) {
			t.Errorf("%s: error is %v, want ErrMalformed", name, err)
		}
	}
	// The checksum detects every single wrong character, and the error does not reveal it.
	for i := range good {
		wrong := []byte(good)
		wrong[i] = map[bool]byte{true: 'a', false: 'b'}[good[i] == 'b']
		if string(wrong) == good {
			continue
		}
		if _, err := apikey.ParseSecret(string(wrong)); err == nil {
			t.Errorf("a wrong character at %d went unnoticed", i)
		} else if strings.Contains(err.Error(), string(wrong[5:20])) {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	for prefix, want := range map[string]bool{
		"ak": true, "a": true, "a1_b_": true, strings.Repeat("z", 20): true,
		"": false, "1a": false, "_a": false, "A": false, "a-b": false, "ä": false, strings.Repeat("z", 21): false,
	} {
		if got := apikey.CheckPrefix(prefix) == nil; got != want {
			t.Errorf("CheckPrefix(%q) allows: %t, want %t", prefix, got, want)
		}
	}
}

// TestNothingPrintsASecret tries every way to turn a value into text.
func TestNothingPrintsASecret(t *testing.T) {
	secret := apikey.NewSecret("ak", apikey.NewID())
	hash := secret.Hash()
	key := apikey.Key{ID: secret.ID(), SecretHash: hash}
	raw := string(hash[:8])
	// fmt does not call the methods of unexported fields.
	hidden := struct{ secret apikey.Secret }{secret}
	for _, value := range []any{secret, &secret, hash, &hash, key, &key, []apikey.Secret{secret}, hidden, &hidden} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", value)
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		printed := log.String() + string(encoded)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			printed += fmt.Sprintf(verb, value)
		}
		for _, leak := range []string{secret.Reveal(), secret.Reveal()[25:57], raw,
			fmt.Sprintf("%x", hash[:8]), fmt.Sprintf("%d", hash[:4])} {
			if strings.Contains(printed, strings.Trim(leak, "[]")) {
				t.Errorf("%T prints what it should hide: %s", value, printed)
			}
		}
	}
	if !strings.Contains(fmt.Sprint(secret), "redacted") {
		t.Errorf("a secret prints as %v", secret)
	}
}

func TestRedact(t *testing.T) {
	secret := apikey.NewSecret("acme_live", apikey.NewID()).Reveal()
	body := strings.TrimPrefix(secret, "acme_live_")
	for text, want := range map[string]string{
		"":                                "",
		"nothing_here":                    "nothing_here",
		someUUID:                          someUUID,
		secret:                            "[redacted]",
		"/v1/api-keys/" + secret:          "/v1/api-keys/[redacted]",
		"a " + secret + ", " + secret:     "a [redacted], [redacted]",
		secret[:len(secret)-1] + "0":      "[redacted]",
		secret[:len(secret)-20]:           "[redacted]",
		body:                              "[redacted]",
		"ACME_" + body:                    "ACME_[redacted]",
		"acme%5F" + body:                  "acme%[redacted]",
		strings.ToUpper("x_" + body[:40]): "X_[redacted]",
	} {
		if got := apikey.Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestHashEqual(t *testing.T) {
	one, other := apikey.NewSecret("ak", apikey.NewID()).Hash(), apikey.NewSecret("ak", apikey.NewID()).Hash()
	if !one.Equal(one) || one.Equal(other) {
		t.Error("Equal cannot tell hashes apart")
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add("")
	f.Add(apikey.NewSecret("ak", apikey.NewID()).Reveal())
	f.Add("ak_7n42DGM5Tflk9n8mt7Fhc8000000000000000000000000000000001UIOMh")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := apikey.ParseSecret(text)
		if err != nil {
			if !errors.Is(err, apikey.ErrMalformed) || secret != (apikey.Secret{}) {
				t.Fatalf("refused with %v and %#v", err, secret.ID())
			}
			return
		}
		// An accepted secret has one spelling, is redacted, and cannot be a name.
		if secret.Reveal() != text || apikey.Redact(text) == text || apikey.CheckName(text) == nil {
			t.Fatalf("%q is accepted, but not consistently", text)
		}
		if !strings.HasPrefix(text, secret.Prefix()) {
			t.Fatalf("prefix %q is not that of %q", secret.Prefix(), text)
		}
	})
}

// The message about a mistyped key says what is wrong, and does not repeat the text.
func TestWhyMalformed(t *testing.T) {
	secret := apikey.NewSecret("acme_test", apikey.NewID())
	text := secret.Reveal()
	other := map[bool]string{true: "b", false: "a"}[strings.HasSuffix(text, "a")]
	for name, tt := range map[string]struct{ text, want string }{
		"a key":               {text, ""},
		"another end":         {text[:len(text)-1] + other, "a key that is mistyped: its checksum is wrong"},
		"a foreign character": {text[:len(text)-1] + "!", "a key that is mistyped: its checksum is wrong"},
		"a capital prefix":    {"A" + text[1:], "a key that is mistyped: its checksum is wrong"},
		"one character less":  {text[:len(text)-1], "a key that is cut off"},
		"half of it":          {text[:len(text)/2], "a key that is cut off"},
		"without prefix":      {text[len("acme_test_"):], "a key that is cut off: it has no prefix"},
		"what lists show":     {secret.Prefix(), "a key's prefix, as lists show it, not its secret"},
		"one character more":  {"ak_" + strings.Repeat("0", 61), "a key that is mistyped: it is too long"},
		"in quotes":           {`"` + text + `"`, "a key with other text around it"},
		"as a variable":       {"APIKEYD_KEY=" + text, "a key with other text around it"},
		"another password":    {"hunter2", "no apikeyd key"},
		"another's token":     {"ghp_x-y", "no apikeyd key"},
		"nothing":             {"", "no apikeyd key"},
	} {
		if got := apikey.WhyMalformed(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestTrimSecret(t *testing.T) {
	for text, want := range map[string]string{
		"\uFEFFak_x\r\n": "ak_x", "\u00a0ak_x\u200b ": "ak_x", " a b\t": "a b", "\uFEFF": "", "ak_x": "ak_x",
	} {
		if got := apikey.TrimSecret(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
