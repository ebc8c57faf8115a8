package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

const defaultPageSize = 100

// ListOptions say which keys to list, and how. A key must pass all filters that are
// given; the zero ListOptions list all keys.
type ListOptions struct {
	// PageSize is how many keys one request asks for, 1 to 100. 0 is 100.
	PageSize int

	Status        Status    // only keys that have it now
	NameContains  string    // only keys whose name holds it, letter for letter
	Search        string    // only keys whose name or owner contains it, ignoring case, or whose prefix or id matches
	ExpiresBefore time.Time // only keys that end before, expired ones included
	// LastUsedBefore lists only keys that were last used before. A key that was never used
	// counts from its creation.
	LastUsedBefore time.Time

	Rotating bool // only keys that are ACTIVE and whose secret before the last rotation is still good
}

// List goes through keys, newest first: those of the calling key's owner, or those of
// [Client.ForOwner]; with keys:admin and without ForOwner, those of all owners.
//
//	for key, err := range c.List(ctx, client.ListOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(key.Name)
//	}
//
// Pages are asked for as they are needed, and no more once the loop ends. An error ends
// the list, and comes with the zero Key. Every key that passes the filters from the
// beginning to the end comes exactly once, even if the loop revokes or changes the keys it
// gets. Keys that are created meanwhile may be missing. Ranging over the same list again
// starts anew.
func (c *Client) List(ctx context.Context, o ListOptions) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		for cursor := ""; ; {
			page, err := c.ListAfter(ctx, cursor, o)
			if err == nil && page.NextCursor == "" && page.Pages > 1 {
				err = errNoCursor
			}
			if err != nil {
				yield(Key{}, err)
				return
			}
			for _, key := range page.Keys {
				if !yield(key, nil) {
					return
				}
			}
			if page.NextCursor == "" || len(page.Keys) == 0 {
				return
			}
			cursor = page.NextCursor
		}
	}
}

var errNoCursor = errors.New("apikeyd: the service returned no next_cursor: " +
	"it is older than this client; update it, or use ListPage")

// KeyPage is one page of a list.
type KeyPage struct {
	Keys []Key
	// Pages is how many there are: 0 if no key passes the filters, and always 0 from
	// [Client.ListAfter] with a cursor, which does not count them.
	Pages      int
	NextCursor string // for [Client.ListAfter]; empty if no keys follow
}

// ListPage returns one page, counted from 1, of what [Client.List] goes through. A page
// past the end has no keys. Keys move from page to page when others are created or stop
// passing the filters: to read a whole list, use List or [Client.ListAfter].
func (c *Client) ListPage(ctx context.Context, page int, o ListOptions) (KeyPage, error) {
	return c.list(ctx, api.ListApiKeysParams{Page: &page}, o)
}

// ListAfter returns the page that follows the one with this NextCursor, or the first page if
// cursor is empty. A cursor never expires, but needs the owner and the filters of the list that
// it comes from.
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
	params.Search = unlessZero(o.Search)
	params.ExpiresBefore = unlessZero(o.ExpiresBefore.UTC())
	params.LastUsedBefore = unlessZero(o.LastUsedBefore.UTC())
	params.Rotating = unlessZero(o.Rotating)
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

// unlessZero is nil for the zero value.
func unlessZero[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
