package client

import (
	"net/http"
	"slices"
	"strings"
)

// maxSecret is far longer than any secret.
const maxSecret = 1024

// credential returns the secret in a request by the service's own rules: in x-api-key or as a
// bearer token, and not two different ones. Otherwise it returns the refusal.
func credential(r *http.Request) (string, *refusal) {
	secrets := slices.Clone(r.Header.Values("X-Api-Key"))
	for _, value := range r.Header.Values("Authorization") {
		scheme, token, _ := strings.Cut(value, " ")
		if strings.EqualFold(scheme, "Bearer") {
			secrets = append(secrets, strings.TrimLeft(token, " "))
		}
	}
	var found string
	for _, secret := range secrets {
		switch {
		case secret == "" || secret == found:
		case found == "":
			found = secret
		default:
			return "", unauthorized(CodeCredentialAmbiguous, "the request carries two different API keys; send one")
		}
	}
	if found == "" {
		return "", unauthorized(CodeCredentialMissing,
			"send an API key as x-api-key: SECRET or Authorization: Bearer SECRET")
	}
	// The service might reject such a request with 400, which would look like a fault of the
	// service and not of the caller.
	if len(found) > maxSecret || checkSecret(found) != nil {
		return "", unauthorized(CodeCredentialInvalid, noSuchKey)
	}
	return found, nil
}
