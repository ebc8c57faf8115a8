package client

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"apikeyd/client/internal/api"
)

// CreatedKey is a key and its new secret, which nothing will show again.
type CreatedKey struct {
	Key
	Secret Secret
}

// Create makes a key. It returns an *[Error], among others with [CodeNameTaken],
// [CodeInvalidRequest], or [CodeForbidden] if the calling key lacks one of the scopes.
//
// After an error without a code, or with [CodeInternal] or [CodeOutcomeUnknown], the key may
// exist, with a secret that nobody has. Then creating it again fails with CodeNameTaken, as names are unique:
// look at the key that has the name, and [Client.Revoke] it first.
func (c *Client) Create(ctx context.Context, k NewKey) (CreatedKey, error) {
	body, err := k.body(c.owner)
	if err != nil {
		return CreatedKey{}, err
	}
	request, err := api.NewCreateApiKeyRequestWithBody(c.base, jsonType, body)
	return c.secret(ctx, request, err, http.StatusCreated)
}

// Get finds a key by name or id. A name finds the key of the calling key's owner, or of
// [Client.ForOwner], that holds it now, else the most recently revoked one that did. A
// UUID is always an id. Any name will do; only if a proxy in between refuses or decodes
// %2F, those with a slash cannot be reached, except by id. An *[Error] with
// [CodeKeyNotFound] says that there is none within reach.
func (c *Client) Get(ctx context.Context, nameOrID string) (Key, error) {
	request, err := api.NewGetApiKeyRequest(c.base, nameOrID, &api.GetApiKeyParams{Owner: c.owner})
	return c.key(ctx, nameOrID, request, err)
}

// Update changes a key, found as by [Client.Get], and returns it as it is then. The
// zero Change changes nothing. It returns an *[Error], among others with
// [CodeKeyNotFound], [CodeNameTaken], [CodeKeyRevoked], [CodeInvalidRequest], or
// [CodeForbidden] if the calling key lacks a scope of the key.
func (c *Client) Update(ctx context.Context, nameOrID string, change Change) (Key, error) {
	body, err := change.body()
	if err != nil {
		return Key{}, err
	}
	request, err := api.NewUpdateApiKeyRequestWithBody(
		c.base, nameOrID, &api.UpdateApiKeyParams{Owner: c.owner}, jsonType, body)
	return c.key(ctx, nameOrID, request, err)
}

// Rotate gives a key, found as by [Client.Get], a new secret, which works at once. The
// one that it had stays good for the grace, whole seconds up to 7 days and never past the
// key's end; a still older one stops now in any case. It returns an *[Error], among others
// with [CodeKeyNotFound], [CodeKeyRevoked], [CodeKeyRotated] if another call was at it at
// the same moment, or [CodeForbidden] if the calling key lacks a scope of the key.
//
// After an error without a code, or with [CodeInternal] or [CodeOutcomeUnknown], the key may
// have a secret that nobody has. Look at its GraceEndsAt before you rotate it again: that ends the grace of
// the secret that is in use. A key may rotate itself; this Client goes on with the old
// secret.
func (c *Client) Rotate(ctx context.Context, nameOrID string, grace time.Duration) (CreatedKey, error) {
	if err := checkName(nameOrID); err != nil {
		return CreatedKey{}, err
	}
	if grace%time.Second != 0 {
		return CreatedKey{}, errors.New("apikeyd: the grace must be whole seconds")
	}
	request, err := api.NewRotateApiKeyRequest(c.base, nameOrID, &api.RotateApiKeyParams{Owner: c.owner},
		api.ApiKeyRotate{GraceSeconds: new(int(grace / time.Second))})
	return c.secret(ctx, request, err, http.StatusOK)
}

// Revoke ends a key, found as by [Client.Get], for good and returns it. From then on
// its secret is refused and its name is free. Revoking a revoked key changes nothing. It
// returns an *[Error], among others with [CodeKeyNotFound], or [CodeForbidden] if the
// calling key lacks a scope of the key.
func (c *Client) Revoke(ctx context.Context, nameOrID string) (Key, error) {
	request, err := api.NewRevokeApiKeyRequest(c.base, nameOrID, &api.RevokeApiKeyParams{Owner: c.owner})
	return c.key(ctx, nameOrID, request, err)
}

// key sends a request about one key, which may have failed to be made.
func (c *Client) key(ctx context.Context, nameOrID string, request *http.Request, failed error) (Key, error) {
	if failed != nil {
		return Key{}, unsendable(failed)
	}
	if err := checkName(nameOrID); err != nil {
		return Key{}, err
	}
	repeatable := request.Method == http.MethodGet || uuid.MatchString(nameOrID)
	var key Key
	if err := c.send(ctx, request, repeatable, http.StatusOK, &key); err != nil {
		return Key{}, err
	}
	return key, nil
}

// secret sends a request that makes a secret, which may have failed to be made. It is
// not repeatable: what is lost with its answer is a secret.
func (c *Client) secret(ctx context.Context, request *http.Request, failed error, want int) (CreatedKey, error) {
	if failed != nil {
		return CreatedKey{}, unsendable(failed)
	}
	var answer createdAnswer
	if err := c.send(ctx, request, false, want, &answer); err != nil {
		return CreatedKey{}, err
	}
	return CreatedKey{Key: answer.Key, Secret: Secret{text: &answer.Secret}}, nil
}

// checkName refuses names that would change the path, and so what is asked for.
func checkName(nameOrID string) error {
	if nameOrID == "" || nameOrID == "." || nameOrID == ".." {
		return &Error{Status: http.StatusNotFound, Code: CodeKeyNotFound,
			Message: "no key can have an empty name, or . or .. for a name; the service was not asked"}
	}
	return nil
}

// uuid is the form in which {key_name} is an id.
var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
