package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"apikeyd/client"
)

// keyring is where keys are. It speaks the client's language, so that the commands are
// the same for a server and for a database. What is refused is a *client.Error with a code
// of the contract. An owner that is nil is left to the keyring.
type keyring interface {
	create(ctx context.Context, owner *string, key client.NewKey) (issuedKey, error)
	list(ctx context.Context, owner *string, o client.ListOptions) iter.Seq2[client.Key, error]
	get(ctx context.Context, ref keyRef) (client.Key, error)
	update(ctx context.Context, ref keyRef, change client.Change) (client.Key, error)
	rotate(ctx context.Context, ref keyRef, grace time.Duration) (issuedKey, error)
	revoke(ctx context.Context, ref keyRef) (client.Key, error)
	verify(ctx context.Context, secret string, scopes []string) (client.Verification, error)

	// whose names an owner in a message.
	whose(owner *string) string
	close() error
}

// keyRef names a key: by id, or by name among the keys of an owner.
type keyRef struct {
	owner    *string
	nameOrID string
}

// issuedKey is a key and its new secret, which nothing will show again.
type issuedKey struct {
	client.Key
	secret newSecret
}

// newSecret is a secret of the store or of the client. The linter lists who may reveal it.
type newSecret interface{ Reveal() string }

// explain says what is wrong to the person who typed a command about a key. Owner and
// name are what was asked for.
func explain(err error, owner, name string) error {
	refusal, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	var text string
	switch refusal.Code {
	case client.CodeKeyNotFound:
		text = fmt.Sprintf("%s has no key named %q, nor is that the id of a key; apikeyd keys list shows them all",
			owner, name)
	case client.CodeNameTaken:
		text = fmt.Sprintf("%s has a key named %q already; choose another name, or revoke that key first", owner, name)
	default:
		text = refusal.Message
	}
	for _, detail := range refusal.Details {
		if told := detail.Field + " " + detail.Message; !strings.Contains(text, told) {
			text += "; " + told
		}
	}
	if refusal.RequestID != "" {
		text += " (request " + refusal.RequestID + ")"
	}
	return errors.New(printable(text)) // a server may say what harms a terminal
}
