package client

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"apikeyd/client/internal/api"
)

// CreatedKey is a key and its new secret, which cannot be read again.
type CreatedKey struct {
	Key
	Secret       Secret // empty if it is sealed
	SealedSecret string // an armored age file, if a recipient was named; anyone may see it
}

// Create creates a key. It returns an *[Error], for example with [CodeNameTaken],
// [CodeInvalidRequest], or [CodeForbidden] if the calling key lacks one of the scopes.
//
// After an error without a code, or with [CodeInternal] or [CodeOutcomeUnknown], the key may
// exist with a secret that nobody has. Creating it again then fails with CodeNameTaken, because
// names are unique: check the key that has the name, and [Client.Revoke] it first.
func (c *Client) Create(ctx context.Context, k NewKey) (CreatedKey, error) {
	body, err := k.body(c.owner)
	if err != nil {
		return CreatedKey{}, err
	}
	request, err := api.NewCreateApiKeyRequestWithBody(c.base, jsonType, body)
	return c.secret(ctx, request, err, http.StatusCreated)
}

// Get returns a key by name or id. A name means the key that has it now, else the one with that
// name that was revoked last, among the keys of the calling key's owner or of [Client.ForOwner].
// A UUID is always an id. If a proxy in between refuses or decodes %2F, keys with a slash in
// their name can be reached only by id. An *[Error] with [CodeKeyNotFound] means that there is no
// such key, or that it belongs to another owner.
func (c *Client) Get(ctx context.Context, nameOrID string) (Key, error) {
	request, err := api.NewGetApiKeyRequest(c.base, nameOrID, &api.GetApiKeyParams{Owner: c.owner})
	return c.key(ctx, nameOrID, request, err)
}

// Update changes a key, found as by [Client.Get], and returns the changed key. The zero Change
// changes nothing. It returns an *[Error], for example with [CodeKeyNotFound], [CodeNameTaken],
// [CodeKeyRevoked], [CodeInvalidRequest], or [CodeForbidden] if the calling key lacks one of the
// key's scopes.
func (c *Client) Update(ctx context.Context, nameOrID string, change Change) (Key, error) {
	body, err := change.body()
	if err != nil {
		return Key{}, err
	}
	request, err := api.NewUpdateApiKeyRequestWithBody(
		c.base, nameOrID, &api.UpdateApiKeyParams{Owner: c.owner, IfMatch: c.match}, jsonType, body)
	return c.key(ctx, nameOrID, request, err)
}

// Rotate gives a key, found as by [Client.Get], a new secret, which works at once. The previous
// secret stays valid for the grace: whole seconds, up to 7 days, and never past the key's expiry.
// An even older secret stops working now. Rotate returns an *[Error], for example with
// [CodeKeyNotFound], [CodeKeyRevoked], [CodeKeyRotated] if another call rotated the key at the
// same moment, or [CodeForbidden] if the calling key lacks one of the key's scopes. [Client.RotateSealed]
// hides the secret from the caller.
//
// After an error without a code, or with [CodeInternal] or [CodeOutcomeUnknown], the key may have
// a secret that nobody knows. Check its GraceEndsAt before you rotate it again: that would end
// the grace of the secret in use. A key may rotate itself; this Client keeps using the old secret.
func (c *Client) Rotate(ctx context.Context, nameOrID string, grace time.Duration) (CreatedKey, error) {
	return c.RotateSealed(ctx, nameOrID, grace, "")
}

// RotateSealed is [Client.Rotate] with the age public key of whoever is to have the new secret: only
// its owner can open the SealedSecret. An empty recipient is none.
func (c *Client) RotateSealed(
	ctx context.Context, nameOrID string, grace time.Duration, recipient string,
) (CreatedKey, error) {
	if err := checkName(nameOrID); err != nil {
		return CreatedKey{}, err
	}
	if grace%time.Second != 0 {
		return CreatedKey{}, errors.New("apikeyd: the grace must be whole seconds")
	}
	request, err := api.NewRotateApiKeyRequest(c.base, nameOrID, &api.RotateApiKeyParams{Owner: c.owner, IfMatch: c.match},
		api.ApiKeyRotate{GraceSeconds: new(int(grace / time.Second)), Recipient: unlessZero(recipient)})
	return c.secret(ctx, request, err, http.StatusOK)
}

// Revoke ends a key, found as by [Client.Get], for good and returns it. Its secret is refused
// from then on, and its name is free. Revoking a revoked key changes nothing. It returns an
// *[Error], for example with [CodeKeyNotFound], or [CodeForbidden] if the calling key lacks one
// of the key's scopes. [Client.RevokeFor] gives a reason.
func (c *Client) Revoke(ctx context.Context, nameOrID string) (Key, error) {
	return c.RevokeFor(ctx, nameOrID, "")
}

// RevokeFor is [Client.Revoke] with the reason, which is kept with the key and in the audit log. An
// empty one means [ReasonUnspecified].
func (c *Client) RevokeFor(ctx context.Context, nameOrID string, reason RevocationReason) (Key, error) {
	request, err := api.NewRevokeApiKeyRequest(c.base, nameOrID,
		&api.RevokeApiKeyParams{Owner: c.owner, IfMatch: c.match, Reason: unlessZero(api.RevocationReason(reason))})
	return c.key(ctx, nameOrID, request, err)
}

// Suspend refuses a key, found as by [Client.Get], until [Client.Resume]: it is [Client.Update] with
// Enabled. When it returns, the key is refused everywhere.
func (c *Client) Suspend(ctx context.Context, nameOrID string) (Key, error) {
	return c.Update(ctx, nameOrID, Change{Enabled: new(false)})
}

// Resume ends the suspension of a key, found as by [Client.Get].
func (c *Client) Resume(ctx context.Context, nameOrID string) (Key, error) {
	return c.Update(ctx, nameOrID, Change{Enabled: new(true)})
}

// key sends a request about one key. failed is the error of building it, if any.
func (c *Client) key(ctx context.Context, nameOrID string, request *http.Request, failed error) (Key, error) {
	if failed != nil {
		return Key{}, unsendable(failed)
	}
	if err := checkName(nameOrID); err != nil {
		return Key{}, err
	}
	// After a change that was made, its ETag would be stale: a repetition would report that as somebody else's.
	repeatable := request.Method == http.MethodGet || uuid.MatchString(nameOrID) && c.match == nil
	var key Key
	if err := c.send(ctx, request, repeatable, http.StatusOK, &key); err != nil {
		return Key{}, err
	}
	return key, nil
}

// secret sends a request that makes a secret. failed is the error of building it, if any. It is
// not repeatable: a lost answer means a lost secret.
func (c *Client) secret(ctx context.Context, request *http.Request, failed error, want int) (CreatedKey, error) {
	if failed != nil {
		return CreatedKey{}, unsendable(failed)
	}
	var answer createdAnswer
	if err := c.send(ctx, request, false, want, &answer); err != nil {
		return CreatedKey{}, err
	}
	return CreatedKey{Key: answer.Key, Secret: Secret{text: &answer.Secret}, SealedSecret: answer.SealedSecret}, nil
}

// checkName rejects names that would change the path of the request.
func checkName(nameOrID string) error {
	if nameOrID == "" || nameOrID == "." || nameOrID == ".." {
		return &Error{Status: http.StatusNotFound, Code: CodeKeyNotFound,
			Message: "no key is named . or .. or has an empty name; no request was sent"}
	}
	return nil
}

// uuid is the form of an id in {key_name}.
var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
