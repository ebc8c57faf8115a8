package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WebhookTolerance is how far the time of a delivery may differ from the receiver's clock.
const WebhookTolerance = 5 * time.Minute

// ErrWebhook is the error of [VerifyWebhook] for what is not a delivery of the service, or an old one.
var ErrWebhook = errors.New("apikeyd: not a valid webhook")

// WebhookEvent is what a webhook is told.
type WebhookEvent struct {
	ID        string       `json:"-"` // of the event; a repeated delivery has the same
	Type      string       `json:"type"`
	Timestamp time.Time    `json:"timestamp"`
	Data      WebhookAudit `json:"data"`

	// Raw is Data as it was sent. A file with such lines is an export of the audit log, which apikeyd audit verify
	// --received checks.
	Raw json.RawMessage `json:"-"`
}

// WebhookAudit is an audit event with its place in its chain.
type WebhookAudit struct {
	AuditEvent
	Chain    string `json:"chain"`
	Sequence int64  `json:"sequence"` // from 1, without gaps; a webhook with a filter does not get all
	Hash     string `json:"hash"`
}

// VerifyWebhook checks a delivery by the Standard Webhooks specification, in constant time, and returns its event. The
// body must be read completely, and unchanged. During a rotation, pass both secrets. Now is the receiver's clock. Any
// error wraps [ErrWebhook].
func VerifyWebhook(secrets []string, headers http.Header, body []byte, now time.Time) (event WebhookEvent, err error) {
	id, timestamp := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return event, fmt.Errorf("%w: webhook-id or webhook-timestamp is missing or malformed", ErrWebhook)
	}
	if at := time.Unix(seconds, 0); now.Sub(at) > WebhookTolerance || at.Sub(now) > WebhookTolerance {
		return event, fmt.Errorf("%w: its time differs by more than %s from this clock", ErrWebhook, WebhookTolerance)
	}
	good := false
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 {
			return event, fmt.Errorf("%w: a secret is not whsec_ and base64", ErrWebhook)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for signature := range strings.FieldsSeq(headers.Get("webhook-signature")) {
			good = hmac.Equal([]byte(signature), []byte(want)) || good
		}
	}
	if !good {
		return event, fmt.Errorf("%w: no signature matches", ErrWebhook)
	}
	var raw struct{ Data json.RawMessage }
	if err := errors.Join(json.Unmarshal(body, &event), json.Unmarshal(body, &raw)); err != nil {
		return event, fmt.Errorf("%w: its body is not an event: %w", ErrWebhook, err)
	}
	event.ID, event.Raw = id, raw.Data
	return event, nil
}
