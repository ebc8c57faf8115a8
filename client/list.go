package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"apikeyd/client/internal/api"
)

const defaultPageSize = 100

// ListOptions filter and page keys. A key must match all filters that are set; the zero
// ListOptions list all keys.
type ListOptions struct {
	// PageSize is how many keys one request asks for, 1 to 100. 0 means 100.
	PageSize int

	Status       Status // only keys with this status
	NameContains string // only keys whose name contains it; case matters
	Scope        string // only keys that have this scope
	// Metadata selects keys that have all of these entries. No name may contain "=".
	Metadata      map[string]string
	Search        string    // only keys whose name or owner contains it, ignoring case, or whose prefix or id matches
	ExpiresBefore time.Time // only keys that expire before it, including expired ones
	// LastUsedBefore selects keys that were last used before it. A key that was never used counts
	// from its creation.
	LastUsedBefore time.Time

	Enabled  *bool            // false: only suspended keys; true: only the others
	Reason   RevocationReason // only keys that were revoked for this reason
	Foreign  bool             // only keys that a secret imported from another service still opens
	Sessions bool             // only keys of sessions in the console, which other lists leave out
	Rotating bool             // only ACTIVE keys whose secret before the last rotation is still valid
}

// List iterates over keys, newest first: those of the calling key's owner, or those of
// [Client.ForOwner]. With keys:admin and without ForOwner, it lists the keys of all owners.
//
//	for key, err := range c.List(ctx, client.ListOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(key.Name)
//	}
//
// Pages are requested only as the loop needs them. An error ends the list and comes with the zero
// Key. Every key that matches the filters throughout comes exactly once, even if the loop revokes
// or changes the keys it gets. Keys created during the loop may be missing. A second loop over
// the same list starts over.
func (c *Client) List(ctx context.Context, o ListOptions) iter.Seq2[Key, error] {
	return eachOf(func(cursor string) ([]Key, string, error) {
		page, err := c.ListAfter(ctx, cursor, o)
		if err == nil && page.NextCursor == "" && page.Pages > 1 {
			err = errNoCursor
		}
		return page.Keys, page.NextCursor, err
	})
}

var errNoCursor = errors.New("apikeyd: the service returned no next_cursor: " +
	"it is older than this client; update it or use ListPage")

// KeyPage is one page of a list.
type KeyPage struct {
	Keys []Key
	// Pages is the number of pages: 0 if no keys match, and always 0 from [Client.ListAfter]
	// with a cursor, which does not count them.
	Pages      int
	NextCursor string // for [Client.ListAfter]; empty if no keys follow
}

// ListPage returns one page, counted from 1, of the keys that [Client.List] iterates over. A page
// past the end has no keys. Keys move between pages when others are created or stop matching the
// filters; use List or [Client.ListAfter] to read a whole list.
func (c *Client) ListPage(ctx context.Context, page int, o ListOptions) (KeyPage, error) {
	return c.list(ctx, api.ListApiKeysParams{Page: &page}, o)
}

// ListAfter returns the page after the one with this NextCursor, or the first page if cursor is
// empty. A cursor never expires, but works only with the owner and filters of its list.
func (c *Client) ListAfter(ctx context.Context, cursor string, o ListOptions) (KeyPage, error) {
	return c.list(ctx, api.ListApiKeysParams{Cursor: unlessZero(cursor)}, o)
}

func (c *Client) list(ctx context.Context, params api.ListApiKeysParams, o ListOptions) (KeyPage, error) {
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	params.Owner, params.ItemsPerPage = c.owner, &o.PageSize
	params.Status = unlessZero(api.ApiKeyStatus(o.Status))
	params.NameContains = unlessZero(o.NameContains)
	params.Scope = unlessZero(o.Scope)
	params.Search = unlessZero(o.Search)
	params.ExpiresBefore = unlessZero(o.ExpiresBefore.UTC())
	params.LastUsedBefore = unlessZero(o.LastUsedBefore.UTC())
	params.Enabled = o.Enabled
	params.Rotating = unlessZero(o.Rotating)
	params.Foreign = unlessZero(o.Foreign)
	params.Sessions = unlessZero(o.Sessions)
	params.RevocationReason = unlessZero(api.RevocationReason(o.Reason))
	if len(o.Metadata) > 0 {
		entries := make([]string, 0, len(o.Metadata))
		for name, value := range o.Metadata {
			if strings.Contains(name, "=") {
				return KeyPage{}, unsendable(errors.New("metadata: no list can be filtered by a name that contains ="))
			}
			entries = append(entries, name+"="+value)
		}
		slices.Sort(entries)
		params.Metadata = &entries
	}
	request, err := api.NewListApiKeysRequest(c.base, &params)
	if err != nil {
		return KeyPage{}, unsendable(err)
	}
	var answer listAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return KeyPage{}, err
	}
	pages := answer.Pagination
	return KeyPage{Keys: answer.Data, Pages: pages.TotalPages, NextCursor: orZero(pages.NextCursor)}, nil
}

// unlessZero returns a pointer to value, or nil for the zero value.
func unlessZero[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
