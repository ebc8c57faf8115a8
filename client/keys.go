package client

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"
	"unicode/utf8"

	"apikeyd/client/internal/api"
)

// Status says whether a key is good.
type Status string

// The statuses of a key.
const (
	StatusActive  Status = "ACTIVE"
	StatusExpired Status = "EXPIRED" // its end has passed; moving the end makes it ACTIVE again
	StatusRevoked Status = "REVOKED" // for good
)

// Key is an API key as the service knows it, without its secret. Times are in UTC and
// whole milliseconds.
type Key struct {
	ID         string // a UUID that never changes; ids sort by creation
	Name       string // unique among its owner's keys that are not revoked
	Owner      string
	Prefix     string // how its secret begins: recognises a key, opens nothing
	Scopes     []string
	Status     Status
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero unless the key is revoked
	LastUsedAt time.Time // zero if it never was; at most 10 seconds late
}

// CreatedKey is a new key and its secret, which nothing will show again.
type CreatedKey struct {
	Key
	Secret Secret
}

// NewKey describes a key to create. Its owner is that of the calling key, or that of
// [Client.ForOwner].
type NewKey struct {
	Name      string    // 1 to 255 characters
	ExpiresAt time.Time // in the future; truncated to milliseconds
	// Scopes are what the key may do. Nil gives it those of keys:read and keys:write
	// that the calling key has; a pointer to no scopes makes a key that opens nothing in
	// the service. It is a pointer so that a list that turns out empty grants nothing.
	Scopes *[]string
}

// Change says what to change of a key. What is nil stays as it is.
type Change struct {
	Name      *string
	ExpiresAt *time.Time // in the future; truncated to milliseconds
	Scopes    *[]string  // replaces all of them
}

// Create makes a key. It returns an *[Error], among others with [CodeNameTaken],
// [CodeInvalidRequest], or [CodeForbidden] if the calling key lacks one of the scopes.
//
// After an error without a code, or with [CodeInternal], the key may exist, with a secret
// that nobody has. Then creating it again fails with CodeNameTaken, as names are unique:
// look at the key that has the name, and [Client.Revoke] it first.
func (c *Client) Create(ctx context.Context, k NewKey) (CreatedKey, error) {
	if err := checkText(&k.Name, c.owner, k.Scopes); err != nil {
		return CreatedKey{}, err
	}
	request, err := api.NewCreateApiKeyRequest(c.base, api.ApiKeyCreate{
		Name: k.Name, ExpiresAt: k.ExpiresAt.UTC(), Owner: c.owner, Scopes: scopes(k.Scopes),
	})
	if err != nil {
		return CreatedKey{}, unsendable(err)
	}
	var answer createdAnswer
	if err := c.send(ctx, request, false, http.StatusCreated, &answer); err != nil {
		return CreatedKey{}, err
	}
	return answer.created(), nil
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
	if err := checkText(change.Name, nil, change.Scopes); err != nil {
		return Key{}, err
	}
	body := api.ApiKeyUpdate{Name: change.Name, Scopes: scopes(change.Scopes)}
	if change.ExpiresAt != nil {
		body.ExpiresAt = new(change.ExpiresAt.UTC())
	}
	request, err := api.NewUpdateApiKeyRequest(c.base, nameOrID, &api.UpdateApiKeyParams{Owner: c.owner}, body)
	return c.key(ctx, nameOrID, request, err)
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
	if nameOrID == "" || nameOrID == "." || nameOrID == ".." {
		// It would change the path, and so what is asked for.
		return Key{}, &Error{Status: http.StatusNotFound, Code: CodeKeyNotFound,
			Message: "no key can have an empty name, or . or .. for a name; the service was not asked"}
	}
	repeatable := request.Method == http.MethodGet || uuid.MatchString(nameOrID)
	var answer keyAnswer
	if err := c.send(ctx, request, repeatable, http.StatusOK, &answer); err != nil {
		return Key{}, err
	}
	return answer.key(), nil
}

// uuid is the form in which {key_name} is an id.
var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// checkText refuses what encoding/json would silently turn into another text.
func checkText(name, owner *string, scopes *[]string) error {
	valid := (name == nil || utf8.ValidString(*name)) && (owner == nil || utf8.ValidString(*owner))
	if scopes != nil {
		for _, scope := range *scopes {
			valid = valid && utf8.ValidString(scope)
		}
	}
	if !valid {
		return errors.New("apikeyd: the name, the owner or a scope is not valid UTF-8")
	}
	return nil
}

// scopes makes a nil list an empty one: in JSON it would be null.
func scopes(list *[]string) *[]string {
	if list != nil && *list == nil {
		return &[]string{}
	}
	return list
}
