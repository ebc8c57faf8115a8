package client

import (
	"context"
	"iter"
	"net/http"

	"apikeyd/client/internal/api"
)

const defaultPageSize = 100

// ListOptions change how a list is read. The zero ListOptions are ready to use.
type ListOptions struct {
	// PageSize is how many keys one request asks for, 1 to 100. 0 is 100.
	PageSize int
}

// List goes through keys, newest first, whatever their status: those of the calling
// key's owner, or those of [Client.ForOwner]; with keys:admin and without ForOwner,
// those of all owners.
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
// no key comes twice. Ranging over the same list again starts anew.
func (c *Client) List(ctx context.Context, o ListOptions) iter.Seq2[Key, error] {
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	return func(yield func(Key, error) bool) {
		last := "" // the id of the key before
		for page := 1; ; page++ {
			answer, err := c.page(ctx, page, o.PageSize)
			if err != nil {
				yield(Key{}, err)
				return
			}
			for _, k := range answer.Data {
				// Ids fall. One that does not was pushed here, from the page before, by a key
				// created since.
				if last != "" && k.Id >= last {
					continue
				}
				last = k.Id
				if !yield((*keyAnswer)(&k).key(), nil) {
					return
				}
			}
			if len(answer.Data) == 0 || page >= answer.Pagination.TotalPages {
				return
			}
		}
	}
}

func (c *Client) page(ctx context.Context, page, size int) (*listAnswer, error) {
	request, err := api.NewListApiKeysRequest(c.base, &api.ListApiKeysParams{
		Owner: c.owner, Page: &page, ItemsPerPage: &size,
	})
	if err != nil {
		return nil, unsendable(err)
	}
	var answer listAnswer
	return &answer, c.send(ctx, request, true, http.StatusOK, &answer)
}
