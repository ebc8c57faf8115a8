package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

const defaultDatabase = "apikeyd.db"

// databaseKeys are the keys in a database, worked on directly. Whoever can write to the
// file may do everything, so nobody is ever locked out.
type databaseKeys struct {
	db     store.Store
	policy apikey.Policy
}

var _ keyring = databaseKeys{}

// openDatabase opens the keys of a database as it is.
func openDatabase(ctx context.Context, path string, policy apikey.Policy) (keyring, error) {
	db, err := openStore(ctx, path)
	if err != nil {
		return nil, err
	}
	return databaseKeys{db: db, policy: policy}, nil
}

// commandLineNode is the chain of audit events of commands on a PostgreSQL database.
const commandLineNode = "command line"

// openStore opens a database as it is.
func openStore(ctx context.Context, path string) (*sqlstore.DB, error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, Node: commandLineNode})
	if errors.Is(err, sqlstore.ErrMissing) {
		err = fmt.Errorf("%w; name it with --database, or run apikeyd serve once to make it", err)
	}
	return db, err
}

func (d databaseKeys) create(ctx context.Context, owner *string, k client.NewKey) (issuedKey, error) {
	draft := apikey.Settings{
		Owner: d.whose(owner), Name: k.Name, ExpiresAt: k.ExpiresAt, Metadata: k.Metadata,
		Scopes: apikey.Scopes{apikey.ScopeRead, apikey.ScopeWrite},
	}
	if k.Scopes != nil {
		draft.Scopes = *k.Scopes
	}
	if k.RateLimit != nil {
		draft.RateLimit = apikey.RateLimit(*k.RateLimit)
	}
	now := time.Now()
	key, secret, err := d.policy.NewKey(now, draft)
	if err == nil {
		err = d.db.CreateKey(ctx, store.Operator("keys create"), key)
	}
	return issuedKey{clientKey(key, now), secret}, refusalOf(err)
}

func (d databaseKeys) list(ctx context.Context, owner *string, o client.ListOptions) iter.Seq2[client.Key, error] {
	return func(yield func(client.Key, error) bool) {
		query := store.Query{
			Status: apikey.Status(o.Status), NameContains: o.NameContains, Search: o.Search,
			ExpiresBefore: o.ExpiresBefore, LastUsedBefore: o.LastUsedBefore, Limit: 100,
		}
		if owner != nil {
			if err := apikey.CheckOwner(*owner); err != nil {
				yield(client.Key{}, refusalOf(err))
				return
			}
			query.Owner = *owner
		}
		if o.Rotating {
			query.Rotating = &o.Rotating
		}
		for more := true; more; {
			query.At = time.Now()
			page, err := d.db.Keys(ctx, query)
			if err != nil {
				yield(client.Key{}, refusalOf(err))
				return
			}
			for _, key := range page.Keys {
				query.After = key.ID
				if !yield(clientKey(key, query.At), nil) {
					return
				}
			}
			more = page.More
		}
	}
}

func (d databaseKeys) get(ctx context.Context, ref keyRef) (client.Key, error) {
	return d.key(ref, func(r store.Ref) (apikey.Key, error) { return d.db.Key(ctx, r) })
}

func (d databaseKeys) update(ctx context.Context, ref keyRef, c client.Change) (client.Key, error) {
	change := apikey.Change{
		Name: c.Name, ExpiresAt: c.ExpiresAt,
		Scopes:    (*apikey.Scopes)(c.Scopes),
		RateLimit: (*apikey.RateLimit)(c.RateLimit),
	}
	if c.Metadata != nil {
		change.Metadata = &apikey.Metadata{}
		if *c.Metadata != nil {
			*change.Metadata = *c.Metadata
		}
	}
	if err := d.policy.CheckChange(time.Now(), change); err != nil {
		return client.Key{}, refusalOf(err)
	}
	return d.key(ref, func(r store.Ref) (apikey.Key, error) {
		return d.db.UpdateKey(ctx, store.Operator("keys update"), r, change)
	})
}

func (d databaseKeys) rotate(ctx context.Context, ref keyRef, grace time.Duration) (issuedKey, error) {
	var secret apikey.Secret
	key, err := d.key(ref, func(r store.Ref) (apikey.Key, error) {
		now, err := d.db.Key(ctx, r)
		if err != nil {
			return now, err
		}
		secret = now.NewSecret()
		return d.db.RotateKey(ctx, store.Operator("keys rotate"), store.ByID(now.ID), apikey.Rotation{
			From: now.SecretHash, To: secret.Hash(), Grace: grace,
		})
	})
	return issuedKey{key, secret}, err
}

func (d databaseKeys) revoke(ctx context.Context, ref keyRef) (client.Key, error) {
	return d.key(ref, func(r store.Ref) (apikey.Key, error) {
		return d.db.RevokeKey(ctx, store.Operator("keys revoke"), r)
	})
}

// verify decides as a server does. Looking is all it does: no use is recorded.
func (d databaseKeys) verify(ctx context.Context, secret string, scopes []string) (client.Verification, error) {
	for _, scope := range scopes {
		if !apikey.IsScope(scope) {
			return client.Verification{}, refusalOf(apikey.CheckScopes(scopes))
		}
	}
	verifier := verify.New(d.db, slog.New(slog.DiscardHandler), verify.Options{CacheSize: -1})
	result, err := verifier.Verify(ctx, secret, scopes...)
	if err != nil {
		return client.Verification{}, refusalOf(err)
	}
	decision := client.Verification{Code: client.VerifyCode(result.Code)}
	if result.Code != verify.NotFound {
		decision.Key = clientKey(result.Whole(), result.At)
	}
	return decision, nil
}

// whose is the owner of a new key, and of a key that is named by name.
func (d databaseKeys) whose(owner *string) string {
	if owner == nil {
		return adminName
	}
	return *owner
}

func (d databaseKeys) close() error { return d.db.Close() }

// key does something with the key that ref names.
func (d databaseKeys) key(ref keyRef, do func(store.Ref) (apikey.Key, error)) (client.Key, error) {
	named := store.ByName(d.whose(ref.owner), ref.nameOrID)
	if id, err := apikey.ParseID(ref.nameOrID); err == nil && !id.IsZero() {
		named = store.ByID(id)
		if ref.owner != nil {
			named.Owner = *ref.owner
		}
	}
	if err := apikey.CheckOwner(d.whose(ref.owner)); err != nil {
		return client.Key{}, refusalOf(err)
	}
	key, err := do(named)
	if err != nil {
		return client.Key{}, refusalOf(err)
	}
	return clientKey(key, time.Now()), nil
}

// refusalOf gives a refusal the code that the contract has for it, as the server would.
func refusalOf(err error) error {
	invalid, isInvalid := errors.AsType[*apikey.InvalidError](err)
	switch {
	case isInvalid:
		refusal := &client.Error{Code: client.CodeInvalidRequest, Message: invalid.Error()}
		for _, field := range invalid.Fields {
			refusal.Details = append(refusal.Details, client.FieldError(field))
		}
		return refusal
	case errors.Is(err, store.ErrNotFound):
		return &client.Error{Code: client.CodeKeyNotFound}
	case errors.Is(err, store.ErrNameTaken):
		return &client.Error{Code: client.CodeNameTaken}
	case errors.Is(err, store.ErrRevoked):
		return &client.Error{Code: client.CodeKeyRevoked,
			Message: "a revoked key cannot be changed; create a new one"}
	case errors.Is(err, store.ErrRotated):
		return &client.Error{Code: client.CodeKeyRotated,
			Message: "the key was rotated by another call at the same moment; " +
				"use the secret that it got, or rotate it again"}
	}
	return err
}

// clientKey is a key as a server would have answered it.
func clientKey(k apikey.Key, now time.Time) client.Key {
	return client.Key{
		ID:          k.ID.String(),
		Name:        k.Name,
		Owner:       k.Owner,
		Prefix:      k.Prefix,
		Scopes:      k.Scopes,
		Metadata:    k.Metadata,
		RateLimit:   client.RateLimit(k.RateLimit),
		Status:      client.Status(k.Status(now)),
		CreatedAt:   k.CreatedAt,
		ExpiresAt:   k.ExpiresAt,
		RevokedAt:   k.RevokedAt,
		GraceEndsAt: k.GraceEnd(now),
		LastUsedAt:  k.LastUsedAt,
	}
}
