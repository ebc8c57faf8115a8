package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// response is an answer of the service.
type response struct {
	k       *kit
	request request
	status  int
	header  http.Header
	raw     []byte
}

// The contract's types, as a client would declare them.
type (
	key struct {
		ID          string            `json:"id"`
		Name        string            `json:"name"`
		Owner       string            `json:"owner"`
		Prefix      string            `json:"prefix"`
		Scopes      []string          `json:"scopes"`
		Metadata    map[string]string `json:"metadata"`
		RateLimit   *rate             `json:"rate_limit"`
		Status      string            `json:"status"`
		CreatedAt   string            `json:"created_at"`
		ExpiresAt   string            `json:"expires_at"`
		GraceEndsAt string            `json:"grace_ends_at"`
		RevokedAt   string            `json:"revoked_at"`
		LastUsedAt  string            `json:"last_used_at"`
		LastFrom    string            `json:"last_used_from"`
		Enabled     bool              `json:"enabled"`
		Reason      string            `json:"revocation_reason"`
		Secret      string            `json:"secret"`
		Sealed      string            `json:"sealed_secret"`
	}
	rate struct {
		Limit         int `json:"limit"`
		WindowSeconds int `json:"window_seconds"`
	}
	keyList struct {
		Data       []key      `json:"data"`
		Pagination pagination `json:"pagination"`
	}
	pagination struct {
		TotalPages   int `json:"total_pages"`
		CurrentPage  int `json:"current_page"`
		ItemsPerPage int `json:"items_per_page"`
	}
	failure struct {
		Status    int      `json:"status"`
		Message   string   `json:"message"`
		Code      string   `json:"code"`
		RequestID string   `json:"request_id"`
		Details   []detail `json:"details"`
	}
	detail struct {
		Field   string `json:"field"`
		Message string `json:"message"`
	}
)

// check checks the rules that hold for every answer.
func (r response) check() {
	r.k.Helper()
	if r.status >= 500 && !r.request.failing {
		r.k.Errorf("%s: status %d: %s\n%s", r.request, r.status, r.raw, r.k.log)
	}
	r.wantHeader("Cache-Control", "no-store")
	if len(r.header.Values("X-Request-Id")) != 1 || len(r.header.Get("X-Request-Id")) < 16 {
		r.k.Errorf("%s: X-Request-Id is %q", r.request, r.header.Values("X-Request-Id"))
	}
	r.checkSecrets()
	bodiless := r.request.method == http.MethodHead || r.status == http.StatusNoContent
	if bodiless {
		return
	}
	if r.status == http.StatusOK && strings.HasPrefix(r.request.path, forwardPath) {
		if len(r.raw) > 0 {
			r.k.Errorf("%s: a body that no gateway reads: %.200q", r.request, r.raw)
		}
		return
	}
	r.wantHeader("Content-Type", "application/json")
	if !json.Valid(r.raw) {
		r.k.Errorf("%s: the body is not JSON: %.200q", r.request, r.raw)
	} else if r.status >= 400 {
		r.checkFailure()
	}
}

// checkSecrets checks that only creations and rotations return a secret: the new one, once, and none in clear if it
// is sealed.
func (r response) checkSecrets() {
	r.k.Helper()
	text := string(r.raw)
	path, _, _ := strings.Cut(r.request.path, "?")
	if path == scanningPath {
		text = withoutHashes(text) // GitHub, which sent the secrets, gets their hashes
	}
	rotated := r.status == http.StatusOK && r.request.method == http.MethodPost && (strings.HasSuffix(path, "/rotate") || strings.HasSuffix(path, "/rotate-secret"))
	if r.status == http.StatusCreated || rotated {
		secret, sealed := r.key().Secret, r.key().Sealed
		if strings.HasSuffix(path, "/links") {
			secret = decode[ownerLink](r).token()
		}
		if (secret == "") == (sealed == "") {
			r.k.Errorf("%s: not one secret, in clear or sealed, in %s", r.request, text)
			return
		}
		if secret == "" {
			secret = r.k.open(sealed)
		} else {
			text = strings.Replace(text, secret, "", 1)
		}
		r.k.secrets.add(secret)
	}
	if r.k.secrets.in(text + fmt.Sprint(r.header)) {
		r.k.Errorf("%s: the answer holds a secret: %v\n%s", r.request, r.header, r.raw)
	}
}

func (r response) checkFailure() {
	r.k.Helper()
	f := r.failure()
	if f.Status != r.status || f.Message == "" || f.Code == "" || f.RequestID != r.header.Get("X-Request-Id") {
		r.k.Errorf("%s: not the error shape of status %d: %s", r.request, r.status, r.raw)
	}
	for _, d := range f.Details {
		if d.Field == "" || d.Message == "" || !strings.Contains(f.Message, d.Message) {
			r.k.Errorf("%s: a detail says too little: %s", r.request, r.raw)
		}
	}
	scheme := "Bearer realm="
	if f.Code == "SIGNATURE_INVALID" {
		scheme = "Signature realm="
	}
	challenged := r.status == 401 || f.Code == "INSUFFICIENT_SCOPE"
	if challenge := r.header.Get("WWW-Authenticate"); challenged != strings.HasPrefix(challenge, scheme) {
		r.k.Errorf("%s: WWW-Authenticate is %q with status %d", r.request, challenge, r.status)
	}
}

// want ends the test unless the answer has this status.
func (r response) want(status int) response {
	r.k.Helper()
	if r.status != status {
		r.k.Fatalf("%s: status %d, want %d: %s", r.request, r.status, status, r.raw)
	}
	return r
}

// refused expects an error; an empty code matches any.
func (r response) refused(status int, code string) failure {
	r.k.Helper()
	if r.status != status {
		r.k.Errorf("%s: status %d, want %d: %.300s", r.request, r.status, status, r.raw)
		return failure{}
	}
	f := r.failure()
	if code != "" && f.Code != code {
		r.k.Errorf("%s: code %s, want %s: %s", r.request, f.Code, code, f.Message)
	}
	return f
}

// invalid expects a 400 that names this field, and maybe others; an empty field matches any.
func (r response) invalid(field string) failure {
	r.k.Helper()
	f := r.refused(http.StatusBadRequest, "INVALID_REQUEST")
	named := field == ""
	for _, d := range f.Details {
		named = named || d.Field == field
	}
	if !named {
		r.k.Errorf("%s: the answer does not name %q: %.300s", r.request, field, r.raw)
	}
	return f
}

func (r response) wantHeader(name, want string) {
	r.k.Helper()
	if got := r.header.Get(name); got != want {
		r.k.Errorf("%s: %s is %q, want %q (status %d)", r.request, name, got, want, r.status)
	}
}

func (r response) key() key {
	r.k.Helper()
	return decode[key](r)
}

func (r response) list() keyList {
	r.k.Helper()
	return decode[keyList](r)
}

func (r response) failure() failure {
	r.k.Helper()
	return decode[failure](r)
}

// decode reads a body. The client checks for unknown properties.
func decode[T any](r response) (shape T) {
	r.k.Helper()
	if err := json.Unmarshal(r.raw, &shape); err != nil {
		r.k.Errorf("%s: %v in %.300q", r.request, err, r.raw)
	}
	return shape
}
