package store

import (
	"context"

	"apikeyd/apikey"
)

// Asker says on whose behalf a Store is called. Long-running queries are shared fairly among
// owners, and limited for each key. The zero Asker is the program itself.
type Asker struct {
	Owner string
	Key   apikey.ID
}

// AskerKey is the key under which a context has an Asker.
type AskerKey struct{}

// AskerOf returns the Asker of a context, or the zero one.
func AskerOf(ctx context.Context) Asker {
	asker, _ := ctx.Value(AskerKey{}).(Asker)
	return asker
}
