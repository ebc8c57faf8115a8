package client

import "iter"

// eachOf iterates over the items of all pages. next returns the page at a cursor, which is empty for the first page,
// and the cursor of the one after it, which is empty on the last.
func eachOf[T any](next func(cursor string) (items []T, after string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			items, after, err := next(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if after == "" || len(items) == 0 {
				return
			}
			cursor = after
		}
	}
}
