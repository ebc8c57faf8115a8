package store

import (
	"context"

	"apikeyd/apikey"
)

// Asker is on whose behalf a Store is asked. What takes long is shared fairly among owners,
// and bounded for each key. The zero Asker is the program itself.
type Asker struct {
	Owner string
	Key   apikey.ID
}

// AskerKey is the key of an Asker among a context's values.
type AskerKey struct{}

// AskerOf returns the Asker of a context, or the zero one.
func AskerOf(ctx context.Context) Asker {
	asker, _ := ctx.Value(AskerKey{}).(Asker)
	return asker
}
