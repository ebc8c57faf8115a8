// Package webhook delivers audit events to receivers, signed as the Standard Webhooks specification says, and keeps
// deliveries out of the operator's own network.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/auditline"
	"apikeyd/store"
)

// The headers of a delivery.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// sign returns the signature of one delivery.
func sign(secret store.WebhookSecret, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret.Bytes())
	for _, part := range [...]string{id, ".", timestamp, "."} {
		_, _ = mac.Write([]byte(part)) // a hash takes everything
	}
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// headers returns the headers of a delivery at some time: signed with the secret and, during its grace, the old one.
func headers(w *store.Webhook, id string, body []byte, now time.Time) map[string]string {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signature := sign(w.Secret, id, timestamp, body)
	if w.OldSecretUntil.After(now) {
		signature += " " + sign(w.OldSecret, id, timestamp, body)
	}
	return map[string]string{HeaderID: id, HeaderTimestamp: timestamp, HeaderSignature: signature}
}

// payload returns the body of a delivery, which is the same whenever it is sent.
func payload(e store.Event) ([]byte, error) {
	return json.Marshal(struct {
		Type      string           `json:"type"`
		Timestamp apikey.Timestamp `json:"timestamp"`
		Data      auditline.Line   `json:"data"`
	}{store.EventType(&e), apikey.Timestamp(e.At), auditline.Of(e)})
}
