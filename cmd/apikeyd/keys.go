package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// keysCommands work on the database itself. Whoever can write to the file may do
// everything, so nobody is ever locked out.
type keysCommands struct {
	Create createCommand `cmd:"" help:"Make a key and print its secret, and nothing else, on standard output."`
	List   listCommand   `cmd:"" help:"List keys, newest first."`
	Revoke revokeCommand `cmd:"" help:"End a key for good."`
}

// withStore runs do on the database, as it is.
func (f databaseFlag) withStore(ctx context.Context, do func(store.Store) error) (err error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: f.Database})
	if errors.Is(err, sqlstore.ErrMissing) {
		return fmt.Errorf("%w; name it with --database, or run apikeyd serve once to make it", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}

type createCommand struct {
	databaseFlag
	policyFlags
	Name      string            `required:"" help:"Name of the key, unique among its owner's."`
	Owner     string            `default:"admin" help:"Whom the key belongs to (${default})."`
	Scope     []string          `sep:"none" help:"What the key may do; repeat the flag for several scopes, a comma is part of one (keys:read and keys:write)."`
	ExpiresIn time.Duration     `placeholder:"DURATION" xor:"expiry" required:"" help:"How long the key lives, such as 720h; or say --expires-at."`
	ExpiresAt *apikey.Timestamp `placeholder:"2030-01-31T12:00:00Z" xor:"expiry" required:"" help:"When the key ends, with an offset; or say --expires-in."`
}

// Run makes one key.
func (c *createCommand) Run(ctx context.Context, s streams) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	now := time.Now()
	draft := apikey.Draft{Owner: c.Owner, Name: c.Name, Scopes: c.Scope, ExpiresAt: now.Add(c.ExpiresIn)}
	if c.ExpiresAt != nil {
		draft.ExpiresAt = c.ExpiresAt.Time()
	}
	if draft.Scopes == nil {
		draft.Scopes = apikey.Scopes{apikey.ScopeRead, apikey.ScopeWrite}
	}
	key, secret, err := policy.NewKey(now, draft)
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(db store.Store) error {
		err := db.CreateKey(ctx, store.Operator("keys create"), key)
		if errors.Is(err, store.ErrNameTaken) {
			return fmt.Errorf("%s has a key named %q already; choose another name, or revoke that key first",
				key.Owner, key.Name)
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(s.out, secret.Reveal()); err != nil {
			return fmt.Errorf("the key %s was made, but its secret could not be shown; revoke it: %w", key.ID, err)
		}
		return nil
	})
}

type listCommand struct {
	databaseFlag
	Owner string `help:"Only this owner's keys."`
}

// Run prints a table of keys.
func (c *listCommand) Run(ctx context.Context, s streams) error {
	return c.withStore(ctx, func(db store.Store) error {
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tOWNER\tNAME\tPREFIX\tSTATUS\tEXPIRES\tLAST USED\tSCOPES")
		now := time.Now()
		for query := (store.Query{Owner: c.Owner, Limit: 1000}); ; query.Offset += query.Limit {
			page, err := db.Keys(ctx, query)
			if err != nil {
				return err
			}
			if len(page.Keys) == 0 {
				return table.Flush()
			}
			for _, key := range page.Keys {
				writeRow(table, key, now)
			}
		}
	})
}

func writeRow(w io.Writer, k apikey.Key, now time.Time) {
	lastUsed := "never"
	if !k.LastUsedAt.IsZero() {
		lastUsed = apikey.Timestamp(k.LastUsedAt).String()
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Owner, k.Name, k.Prefix,
		k.Status(now), apikey.Timestamp(k.ExpiresAt), lastUsed, k.Scopes)
}

type revokeCommand struct {
	databaseFlag
	Owner string `default:"admin" help:"Whose key it is, if it is named by name (${default})."`
	Key   string `arg:"" help:"Name or id of the key."`
}

// Run revokes one key.
func (c *revokeCommand) Run(ctx context.Context, s streams) error {
	ref := store.ByName(c.Owner, c.Key)
	if id, err := apikey.ParseID(c.Key); err == nil {
		ref = store.ByID(id)
	}
	return c.withStore(ctx, func(db store.Store) error {
		key, err := db.RevokeKey(ctx, store.Operator("keys revoke"), ref)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("%s has no key named %q, nor is that the id of a key; apikeyd keys list shows them all",
				c.Owner, c.Key)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s of %s was revoked at %s\n",
			key.Name, key.Owner, apikey.Timestamp(key.RevokedAt))
		return err
	})
}
