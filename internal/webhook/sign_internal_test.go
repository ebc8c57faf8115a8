package webhook

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// The example of the Standard Webhooks specification.
func TestSignature(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	must(t, err)
	secret, body := store.WebhookSecretOf(key), []byte(`{"test": 2432232314}`)
	const id, want = "msg_p5jXN8AQM9LWM0D4loKWxJek", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := sign(secret, id, "1614265330", body); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	if got := secret.Reveal(); got != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
		t.Errorf("the secret is %s", got)
	}
	now := time.Unix(1614265330, 0)
	w := store.Webhook{Secret: secret}
	for _, tt := range []struct {
		until time.Time
		want  int
	}{{time.Time{}, 1}, {now, 1}, {now.Add(time.Second), 2}} {
		w.OldSecret, w.OldSecretUntil = store.NewWebhookSecret(), tt.until
		signatures := strings.Fields(headers(&w, id, body, now)[HeaderSignature])
		if len(signatures) != tt.want || signatures[0] != want {
			t.Errorf("with an old secret until %s: %q", tt.until, signatures)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	w := store.Webhook{Secret: store.NewWebhookSecret()}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, text := range []string{fmt.Sprintf(format, w), fmt.Sprintf(format, w.Secret), fmt.Sprintf(format, &w.Secret)} {
			if strings.Contains(text, w.Secret.Reveal()[len(store.WebhookSecretPrefix):]) || strings.Contains(text, fmt.Sprintf("%x", w.Secret.Bytes())) {
				t.Errorf("%s shows the secret: %s", format, text)
			}
		}
	}
}

// The body of a delivery is the same each time, and is what docs/webhooks.md shows.
func TestPayload(t *testing.T) {
	t.Parallel()
	e := store.Event{
		ID: apikey.ID{1}, At: time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC), Action: store.ActionUpdate, Key: apikey.ID{2}, Owner: "<acme>",
		Name: "clé", Changes: apikey.Differences{{Field: "enabled", From: []byte("true"), To: []byte("false")}}, Actor: apikey.ID{3}, Via: "http",
		Mark: store.Mark{Chain: "main", Seq: 7},
	}
	want := `{"type":"api_key.suspended","timestamp":"2026-11-23T10:30:00.000Z","data":{"id":"01000000-0000-0000-0000-000000000000",` +
		`"at":"2026-11-23T10:30:00.000Z","action":"update","key_id":"02000000-0000-0000-0000-000000000000","owner":"\u003cacme\u003e","name":"clé",` +
		`"changes":{"enabled":{"from":true,"to":false}},"actor":"03000000-0000-0000-0000-000000000000","via":"http","chain":"main","sequence":7,` +
		`"hash":"` + strings.Repeat("0", 64) + `"}}`
	for range 2 {
		if got, err := payload(e); err != nil || string(got) != want {
			t.Errorf("the payload is %s, %v, want %s", got, err, want)
		}
	}
}
