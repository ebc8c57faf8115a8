package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"apikeyd/client/internal/api"
)

// Owner is who has keys, with what applies to all of them together.
type Owner struct {
	Name      string            `json:"owner"`
	Enabled   bool              `json:"enabled"`             // false while all its keys are refused
	MaxKeys   int               `json:"max_keys,omitzero"`   // keys that are neither revoked nor expired; 0 if the server's default applies
	RateLimit RateLimit         `json:"rate_limit,omitzero"` // of all its keys together; zero if there is none
	Quota     Quota             `json:"quota,omitzero"`      // of all its keys together; zero if there is none
	Left      QuotaState        `json:"quota_state,omitzero"`
	Metadata  map[string]string `json:"metadata"`
	Keys      OwnerKeys         `json:"keys"`
	LastUsed  time.Time         `json:"last_used_at,omitzero"` // zero if no key was ever used; at most 10 seconds late

	AllowedCIDRs []string `json:"allowed_cidrs,omitzero"` // from where its keys may be used; nil if from everywhere
}

// OwnerKeys counts an owner's keys by their status. All that are not revoked are suspended while the owner is.
type OwnerKeys struct {
	Active    int `json:"active"`
	Expired   int `json:"expired"`
	Revoked   int `json:"revoked"` // suspended ones included
	Suspended int `json:"suspended"`
}

// OwnerChange describes a change of an owner. Nil fields stay as they are.
type OwnerChange struct {
	Enabled   *bool              `json:"enabled,omitzero"`    // false suspends the owner, true ends that
	MaxKeys   *int               `json:"max_keys,omitzero"`   // 0 means the server's default
	RateLimit *RateLimit         `json:"rate_limit,omitzero"` // the zero RateLimit removes it
	Quota     *Quota             `json:"quota,omitzero"`      // the zero Quota removes it
	Metadata  *map[string]string `json:"metadata,omitzero"`   // replaces all of it

	// AllowedCIDRs replaces the networks that the owner's keys may be used from, each within its own; an empty
	// list allows all.
	AllowedCIDRs *[]string `json:"allowed_cidrs,omitzero"`
}

// unlessNone is a number that is null if it is 0.
type unlessNone int

// MarshalJSON writes the contract's form.
func (n unlessNone) MarshalJSON() ([]byte, error) {
	if n == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(n), 10), nil
}

// body returns the request body that makes the change.
func (c OwnerChange) body() (io.Reader, error) {
	if c.Metadata != nil && *c.Metadata == nil {
		c.Metadata = &map[string]string{} // nil would be null
	}
	return encode(struct {
		OwnerChange
		MaxKeys *unlessNone `json:"max_keys,omitzero"`
	}{c, (*unlessNone)(c.MaxKeys)})
}

// NewOwnerLink describes a link that opens the console once, for people of one owner.
type NewOwnerLink struct {
	// Scopes are what the link's session may do: keys:read, usually keys:write, and those of your own API that its
	// people may give to their keys. Your key must have them.
	Scopes   []string
	Name     string            // of the session, in the audit log: who opens the link; "owner link" if empty
	Metadata map[string]string // of the session
	Lasts    time.Duration     // how long the session does, in whole seconds, from one minute to twelve hours; 0 is an hour
}

// OwnerLink is a link that opens the console once.
type OwnerLink struct {
	URL       string    `json:"url"`        // a secret; open it in the browser
	SessionID string    `json:"session_id"` // the id of the session's key once the link is opened
	ExpiresAt time.Time `json:"expires_at"` // until when the link can be opened
}

// LinkOwner returns a link that opens the console once, within five minutes, for people of one owner. It needs
// keys:write, and keys:admin for another owner than the calling key's. Links are not repeated: a call that fails may
// have made one, which nobody knows.
func (c *Client) LinkOwner(ctx context.Context, owner string, l NewOwnerLink) (link OwnerLink, err error) {
	body, err := encode(struct {
		Scopes   []string          `json:"scopes"`
		Name     string            `json:"name,omitzero"`
		Metadata map[string]string `json:"metadata,omitzero"`
		Seconds  int64             `json:"session_seconds,omitzero"`
	}{append([]string{}, l.Scopes...), l.Name, l.Metadata, int64(l.Lasts / time.Second)})
	if err != nil {
		return link, err
	}
	if err := checkOwnerName(owner); err != nil {
		return link, err
	}
	request, err := api.NewCreateOwnerLinkRequestWithBody(c.base, owner, jsonType, body)
	if err != nil {
		return link, unsendable(err)
	}
	err = c.send(ctx, request, false, http.StatusCreated, &link)
	return link, err
}

// OwnerOptions filter and page owners. The zero OwnerOptions list all.
type OwnerOptions struct {
	PageSize int    // how many owners one request asks for, 1 to 100; 0 is 100
	Search   string // only owners whose name contains it, ignoring case
	Enabled  *bool  // false: only suspended owners; true: only the others
}

// Owner returns an owner. It needs keys:admin, or keys:read for the calling key's own owner. An *[Error]
// with [CodeOwnerNotFound] means that it has no keys, and that nothing was set for it.
func (c *Client) Owner(ctx context.Context, name string) (Owner, error) {
	request, err := api.NewGetOwnerRequest(c.base, name)
	return c.oneOwner(ctx, name, request, err)
}

// UpdateOwner changes an owner and returns it as it is then. It needs keys:admin. With Enabled false, all of
// the owner's keys are refused everywhere when it returns. The zero OwnerChange changes nothing.
func (c *Client) UpdateOwner(ctx context.Context, name string, change OwnerChange) (Owner, error) {
	body, err := change.body()
	if err != nil {
		return Owner{}, err
	}
	request, err := api.NewUpdateOwnerRequestWithBody(c.base, name, jsonType, body)
	return c.oneOwner(ctx, name, request, err)
}

func (c *Client) oneOwner(ctx context.Context, name string, request *http.Request, failed error) (owner Owner, err error) {
	if failed != nil {
		return owner, unsendable(failed)
	}
	if err := checkOwnerName(name); err != nil {
		return owner, err
	}
	err = c.send(ctx, request, true, http.StatusOK, &owner)
	return owner, err
}

// checkOwnerName refuses names that would change the path of a request.
func checkOwnerName(name string) error {
	if name == "" || name == "." || name == ".." {
		return &Error{Status: http.StatusNotFound, Code: CodeOwnerNotFound,
			Message: "no owner is named . or .. or has an empty name; no request was sent"}
	}
	return nil
}

// Owners iterates over owners, by name. It needs keys:admin. Pages are requested only as the loop needs them.
// An error ends the list and comes with the zero Owner.
func (c *Client) Owners(ctx context.Context, o OwnerOptions) iter.Seq2[Owner, error] {
	return eachOf(func(cursor string) ([]Owner, string, error) {
		page, err := c.OwnersAfter(ctx, cursor, o)
		return page.Owners, page.NextCursor, err
	})
}

// OwnerPage is one page of owners.
type OwnerPage struct {
	Owners     []Owner `json:"data"`
	NextCursor string  `json:"next_cursor,omitzero"` // for [Client.OwnersAfter]; empty if no owners follow
}

// OwnersAfter returns the page after the one with this NextCursor, or the first page if cursor is empty. A
// cursor never expires, but works only with the filters of its list.
func (c *Client) OwnersAfter(ctx context.Context, cursor string, o OwnerOptions) (page OwnerPage, err error) {
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	request, err := api.NewListOwnersRequest(c.base, &api.ListOwnersParams{
		Search: unlessZero(o.Search), Enabled: o.Enabled, Cursor: unlessZero(cursor), ItemsPerPage: &o.PageSize,
	})
	if err != nil {
		return page, unsendable(err)
	}
	err = c.send(ctx, request, true, http.StatusOK, &page)
	return page, err
}
