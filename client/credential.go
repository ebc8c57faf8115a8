package client

import (
	"net/http"
	"slices"
	"strings"
)

// longestSecret is far more than any secret has.
const longestSecret = 1024

// credential returns the one secret that a request carries, by the rules of the service
// itself: in x-api-key or as a bearer token, and not two different ones. Otherwise it
// returns what the request is refused with.
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
			return "", unproven(CodeCredentialAmbiguous, "the request carries two different API keys; send one")
		}
	}
	if found == "" {
		return "", unproven(CodeCredentialMissing,
			"send an API key as x-api-key: SECRET or Authorization: Bearer SECRET")
	}
	// The service would say so too, or refuse the question: nothing that a stranger sends
	// may look like trouble with the service.
	if len(found) > longestSecret || checkSecret(found) != nil {
		return "", unproven(CodeCredentialInvalid, noSuchKey)
	}
	return found, nil
}
