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

	// serverRetries is how often a failed call to a server is retried: a person is waiting.
	serverRetries = 2

	// noSecret is the client's secret where none is needed: in a database, and to report leaks.
	noSecret = "no-key-is-needed"
)

// keyring is the keys on a server, within reach of the caller's own key, or those in a database. Both
// are used through the same client and the same handlers. A nil owner means that of the caller's own
// key, or admin in a database.
type keyring struct {
	client   *client.Client
	url      string // of the server; empty for a database
	ownOwner string // how messages call the owner that nil means
	db       io.Closer
}

// keyRef names a key: by id, or by name among the keys of an owner.
type keyRef struct {
	owner    *string
	nameOrID string
}

// openServer prepares calls to the server of a profile. It calls nobody yet.
func openServer(p profile, timeout time.Duration) (keyring, error) {
	return connect(p.url, p.key.Reveal(), timeout)
}

func connect(server, secret string, timeout time.Duration) (keyring, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A proxy of the environment sees what http carries, the key included.
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	c, err := client.New(httpURL(server, transport), secret, client.Options{
		HTTPClient: &http.Client{Transport: transport, Timeout: timeout},
		MaxRetries: serverRetries,
		UserAgent:  "apikeyd-cli",
	})
	if err != nil {
		return keyring{}, errors.New(strings.TrimPrefix(err.Error(), "apikeyd: "))
	}
	return keyring{client: c, url: server, ownOwner: "the owner of your key"}, nil
}

// openDatabase opens the keys of a database. The command may do everything, so anyone who can write to
// the file is never locked out, and the audit log names it.
func openDatabase(ctx context.Context, path string, policy apikey.Policy, command string) (keyring, error) {
	db, err := openStore(ctx, path)
	if err != nil {
		return keyring{}, err
	}
	log := slog.New(slog.DiscardHandler)
	operator := handlers.NewOperator(handlers.Config{
		Store: db, Policy: policy, Log: log, Now: time.Now,
		Verifier: verify.New(keycache.New(db, keycache.Options{Size: -1}), log, verify.Options{}), // it never runs, so no use is recorded
	}, command)
	c, err := client.New("http://apikeyd", noSecret, client.Options{
		HTTPClient: &http.Client{Transport: operator},
		MaxRetries: -1,
	})
	return keyring{client: c, ownOwner: handlers.OperatorOwner, db: db}, err
}

// openStore opens an existing database.
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

// about returns the client for an owner's keys, or for the caller's own.
func (k keyring) about(owner *string) (*client.Client, error) {
	switch {
	case owner == nil:
		return k.client, nil
	case *owner == "": // the client would take it for none
		return nil, apikey.CheckOwner("")
	}
	return k.client.ForOwner(*owner), nil
}

// ask calls the client for an owner's keys.
func ask[T any](k keyring, owner *string, call func(*client.Client) (T, error)) (answer T, err error) {
	c, err := k.about(owner)
	if err != nil {
		return answer, err
	}
	answer, err = call(c)
	return answer, k.annotate(err)
}

func (k keyring) create(ctx context.Context, owner *string, key client.NewKey) (client.CreatedKey, error) {
	return ask(k, owner, func(c *client.Client) (client.CreatedKey, error) { return c.Create(ctx, key) })
}

func (k keyring) list(ctx context.Context, owner *string, o client.ListOptions) iter.Seq2[client.Key, error] {
	return func(yield func(client.Key, error) bool) {
		c, err := k.about(owner)
		if err != nil {
			yield(client.Key{}, err)
			return
		}
		for key, err := range c.List(ctx, o) {
			if !yield(key, k.annotate(err)) {
				return
			}
		}
	}
}

func (k keyring) get(ctx context.Context, ref keyRef) (client.Key, error) {
	return ask(k, ref.owner, func(c *client.Client) (client.Key, error) { return c.Get(ctx, ref.nameOrID) })
}

func (k keyring) getAt(ctx context.Context, ref keyRef, at time.Time) (client.Past, error) {
	return ask(k, ref.owner, func(c *client.Client) (client.Past, error) { return c.GetAt(ctx, ref.nameOrID, at) })
}

func (k keyring) review(ctx context.Context, ref keyRef) (client.Review, error) {
	return ask(k, ref.owner, func(c *client.Client) (client.Review, error) { return c.Review(ctx, ref.nameOrID) })
}

func (k keyring) update(ctx context.Context, ref keyRef, change client.Change) (client.Key, error) {
	return ask(k, ref.owner, func(c *client.Client) (client.Key, error) { return c.Update(ctx, ref.nameOrID, change) })
}

func (k keyring) rotate(ctx context.Context, ref keyRef, grace time.Duration, recipient string) (client.CreatedKey, error) {
	return ask(k, ref.owner, func(c *client.Client) (client.CreatedKey, error) {
		return c.RotateSealed(ctx, ref.nameOrID, grace, recipient)
	})
}

func (k keyring) revoke(ctx context.Context, ref keyRef, reason client.RevocationReason) (client.Key, error) {
	return ask(k, ref.owner, func(c *client.Client) (client.Key, error) { return c.RevokeFor(ctx, ref.nameOrID, reason) })
}

func (k keyring) verify(ctx context.Context, call client.Call) (client.Verification, error) {
	return ask(k, nil, func(c *client.Client) (client.Verification, error) { return c.VerifyCall(ctx, call) })
}

// matchFlag is the condition of a change.
type matchFlag struct {
	IfMatch string `placeholder:"ETAG" help:"Only if the key still has this etag, which apikeyd keys get shows."`
}

// onCondition returns a keyring that changes keys on this condition.
func (f matchFlag) onCondition(k keyring) keyring {
	etag := f.IfMatch
	if etag != "" && etag != "*" && !strings.Contains(etag, `"`) { // shells take quotes away
		etag = `"` + etag + `"`
	}
	k.client = k.client.IfMatch(etag)
	return k
}

// whose names an owner in messages.
func (k keyring) whose(owner *string) string {
	if owner == nil {
		return k.ownOwner
	}
	return *owner
}

// annotate adds the server's URL to errors that a wrong URL can cause. For a database it returns the
// cause itself.
func (k keyring) annotate(err error) error {
	refusal, refused := errors.AsType[*client.Error](err)
	switch {
	case err == nil, refused && refusal.Code != "", errors.Is(err, context.Canceled):
		return err
	case k.url == "":
		if cause := errors.Unwrap(err); cause != nil {
			return cause // without the client's "no answer"
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
	return errors.New(printable(k.url + ": " + explainNoAnswer(k.url, err)))
}

// explain words an error of a call that is not about one key or owner.
func (k keyring) explain(err error) error { return explain(k.annotate(err), "", "") }

// explain words an error for the person who typed the command. Owner and name are those that were
// asked for.
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
	case client.CodeOwnerNotFound:
		text = fmt.Sprintf("there is no owner %q: it has no keys, and nothing was set for it; apikeyd owners list shows them all", name)
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
	return errors.New(printable(text)) // a server's text may harm a terminal
}
