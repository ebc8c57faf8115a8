package handlers_test

// verdict is the answer of verifyApiKey.
type verdict struct {
	Valid             bool   `json:"valid"`
	Code              string `json:"code"`
	Key               *key   `json:"key"`
	RetryAfterSeconds int    `json:"retry_after_seconds"`
}
