package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

const (
	defaultDatabase = "apikeyd.db"

	// commandLineNode is the chain of audit events of commands on a PostgreSQL database.
	commandLineNode = "command line"

	// serverRetries is how often a call to a server is made again: somebody waits for it.
	serverRetries = 2

	// noSecret stands for a key where none is needed.
	noSecret = "the-operator-needs-no-key"
)

// keyring is the keys on a server, as far as the caller's own key reaches, or those in a
// database. The same client and the same handlers work on both. An owner that is nil is that of
// the caller's own key, or admin in a database.
type keyring struct {
	client   *client.Client
	url      string // of the server; empty for a database
	ownOwner string // what a message calls the owner if none was named
	db       io.Closer
}

// keyRef names a key: by id, or by name among the keys of an owner.
type keyRef struct {
	owner    *string
	nameOrID string
}

// openServer prepares calls to the server of a profile. It calls nobody yet.
func openServer(p profile, timeout time.Duration) (keyring, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A proxy of the environment sees what http carries, the key included.
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	c, err := client.New(p.url, p.key.Reveal(), client.Options{
		HTTPClient: &http.Client{Transport: transport, Timeout: timeout},
		MaxRetries: serverRetries,
		UserAgent:  "apikeyd-cli",
	})
	if err != nil {
		return keyring{}, errors.New(strings.TrimPrefix(err.Error(), "apikeyd: "))
	}
	return keyring{client: c, url: p.url, ownOwner: "the owner of your key"}, nil
}

// openDatabase opens the keys of a database as it is, for a command that may do everything:
// whoever can write to the file is never locked out. The command stands in the audit log.
func openDatabase(ctx context.Context, path string, policy apikey.Policy, command string) (keyring, error) {
	db, err := openStore(ctx, path)
	if err != nil {
		return keyring{}, err
	}
	log := slog.New(slog.DiscardHandler)
	operator := handlers.NewOperator(handlers.Config{
		Store: db, Policy: policy, Log: log, Now: time.Now,
		Verifier: verify.New(keycache.New(db, keycache.Options{Size: -1}), log, verify.Options{}), // it never runs: no use is recorded
	}, command)
	c, err := client.New("http://apikeyd", noSecret, client.Options{
		HTTPClient: &http.Client{Transport: operator},
		MaxRetries: -1,
	})
	return keyring{client: c, ownOwner: handlers.OperatorOwner, db: db}, err
}

// openStore opens a database as it is.
func openStore(ctx context.Context, path string) (*sqlstore.DB, error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: path, Node: commandLineNode})
	if errors.Is(err, store.ErrMissing) {
		err = fmt.Errorf("%w; name it with --database, or run apikeyd serve once to make it", err)
	}
	return db, err
}

func (k keyring) close() error {
	if k.db == nil {
		return nil
	}
	return k.db.Close()
}

// about is the client for an owner's keys, or for the caller's own.
func (k keyring) about(owner *string) (*client.Client, error) {
	switch {
	case owner == nil:
		return k.client, nil
	case *owner == "": // the client would take it for none
		return nil, apikey.CheckOwner("")
	}
	return k.client.ForOwner(*owner), nil
}

func (k keyring) create(ctx context.Context, owner *string, key client.NewKey) (client.CreatedKey, error) {
	c, err := k.about(owner)
	if err != nil {
		return client.CreatedKey{}, err
	}
	made, err := c.Create(ctx, key)
	return made, k.at(err)
}

func (k keyring) list(ctx context.Context, owner *string, o client.ListOptions) iter.Seq2[client.Key, error] {
	return func(yield func(client.Key, error) bool) {
		c, err := k.about(owner)
		if err != nil {
			yield(client.Key{}, err)
			return
		}
		for key, err := range c.List(ctx, o) {
			if !yield(key, k.at(err)) {
				return
			}
		}
	}
}

func (k keyring) get(ctx context.Context, ref keyRef) (client.Key, error) {
	c, err := k.about(ref.owner)
	if err != nil {
		return client.Key{}, err
	}
	key, err := c.Get(ctx, ref.nameOrID)
	return key, k.at(err)
}

func (k keyring) update(ctx context.Context, ref keyRef, change client.Change) (client.Key, error) {
	c, err := k.about(ref.owner)
	if err != nil {
		return client.Key{}, err
	}
	key, err := c.Update(ctx, ref.nameOrID, change)
	return key, k.at(err)
}

func (k keyring) rotate(ctx context.Context, ref keyRef, grace time.Duration) (client.CreatedKey, error) {
	c, err := k.about(ref.owner)
	if err != nil {
		return client.CreatedKey{}, err
	}
	rotated, err := c.Rotate(ctx, ref.nameOrID, grace)
	return rotated, k.at(err)
}

func (k keyring) revoke(ctx context.Context, ref keyRef) (client.Key, error) {
	c, err := k.about(ref.owner)
	if err != nil {
		return client.Key{}, err
	}
	key, err := c.Revoke(ctx, ref.nameOrID)
	return key, k.at(err)
}

func (k keyring) verify(ctx context.Context, secret string, scopes []string) (client.Verification, error) {
	decision, err := k.client.Verify(ctx, secret, scopes...)
	return decision, k.at(err)
}

// whose names an owner in a message.
func (k keyring) whose(owner *string) string {
	if owner == nil {
		return k.ownOwner
	}
	return *owner
}

// at says of what server an error speaks, where that may be the wrong one.
func (k keyring) at(err error) error {
	refusal, refused := errors.AsType[*client.Error](err)
	switch {
	case err == nil, refused && refusal.Code != "", errors.Is(err, context.Canceled):
		return err
	case k.url == "":
		if cause := errors.Unwrap(err); cause != nil {
			return cause // the client says that no answer came
		}
		return err
	case refused:
		foreign := *refusal
		foreign.Message = fmt.Sprintf("%s answers with status %d: %s", k.url, refusal.Status, refusal.Message)
		if refusal.Status == http.StatusBadRequest {
			foreign.Message += askTLS(k.url)
		}
		return &foreign
	}
	return errors.New(printable(k.url + ": " + unanswered(k.url, err)))
}

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
