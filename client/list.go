package client

import (
	"context"
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
// the list, and comes with the zero Key. Keys that are created meanwhile may be missing;
// no key comes twice. A key that stops passing the filters meanwhile (you revoke what you
// list by Status) moves others up, past the reader: list again until nothing comes. Ranging over the same list again starts anew.
func (c *Client) List(ctx context.Context, o ListOptions) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		last := "" // the id of the key before
		for page := 1; ; page++ {
			answer, err := c.ListPage(ctx, page, o)
			if err != nil {
				yield(Key{}, err)
				return
			}
			for _, key := range answer.Keys {
				// Ids fall. One that does not was pushed here, from the page before, by a key
				// created since.
				if last != "" && key.ID >= last {
					continue
				}
				last = key.ID
				if !yield(key, nil) {
					return
				}
			}
			if len(answer.Keys) == 0 || page >= answer.Pages {
				return
			}
		}
	}
}

// KeyPage is one page of a list.
type KeyPage struct {
	Keys  []Key
	Pages int // how many there are; 0 if no key passes the filters
}

// ListPage returns one page, counted from 1, of what [Client.List] goes through. A page
// past the end has no keys.
func (c *Client) ListPage(ctx context.Context, page int, o ListOptions) (KeyPage, error) {
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	request, err := api.NewListApiKeysRequest(c.base, &api.ListApiKeysParams{
		Owner: c.owner, Page: &page, ItemsPerPage: &o.PageSize,
		Status:         unlessZero(api.ApiKeyStatus(o.Status)),
		NameContains:   unlessZero(o.NameContains),
		ExpiresBefore:  unlessZero(o.ExpiresBefore.UTC()),
		LastUsedBefore: unlessZero(o.LastUsedBefore.UTC()),
		Rotating:       unlessZero(o.Rotating),
	})
	if err != nil {
		return KeyPage{}, unsendable(err)
	}
	var answer listAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return KeyPage{}, err
	}
	keys := KeyPage{Pages: answer.Pagination.TotalPages}
	for _, k := range answer.Data {
		keys.Keys = append(keys.Keys, (*keyAnswer)(&k).key())
	}
	return keys, nil
}

// unlessZero is nil for the zero value.
func unlessZero[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
