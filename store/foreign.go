package store

import (
	"context"
	"fmt"

	"apikeyd/apikey"
)

// Foreign keeps which keys have a foreign secret. What was imported is remembered for good, so that nothing is imported
// twice, not even after its key was rotated or revoked. Whether a secret still works is for the key to say.
type Foreign interface {
	// ForeignSchemes returns the schemes in which there are foreign secrets, in the order of apikey.Schemes.
	ForeignSchemes(ctx context.Context) ([]apikey.Scheme, error)

	// ForeignKey returns the id of the key that has, or had, one of these secrets, and that secret's hash. It
	// returns ErrNotFound if there is none.
	ForeignKey(ctx context.Context, secrets []apikey.Foreign) (apikey.ID, apikey.Hash, error)

	// ImportKey stores a new key whose secret is foreign in this scheme. It returns an *ImportedError if the secret was
	// imported before, or the errors of CreateKey.
	ImportKey(ctx context.Context, actor Actor, key apikey.Key, scheme apikey.Scheme) error
}

// ImportedError says that a secret was imported before.
type ImportedError struct{ Key apikey.ID } // the key that got it

func (e *ImportedError) Error() string {
	return fmt.Sprintf("the secret was imported before, as key %s", e.Key)
}
