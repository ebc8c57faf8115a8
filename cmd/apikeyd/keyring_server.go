package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// tries is how often the command line asks again: somebody waits for it.
const tries = 2

// serverKeys are the keys on a server, as far as the caller's own key reaches.
type serverKeys struct {
	url    string
	client *client.Client
}

var _ keyring = serverKeys{}

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
		MaxRetries: tries,
		UserAgent:  "apikeyd-cli",
	})
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "apikeyd: "))
	}
	return serverKeys{url: p.url, client: c}, nil
}

// about is the client for an owner's keys, or for the caller's own.
func (s serverKeys) about(owner *string) (*client.Client, error) {
	if owner == nil {
		return s.client, nil
	}
	// The client would take an empty owner for none.
	return s.client.ForOwner(*owner), refusalOf(apikey.CheckOwner(*owner))
}

func (s serverKeys) create(ctx context.Context, owner *string, key client.NewKey) (issuedKey, error) {
	c, err := s.about(owner)
	if err != nil {
		return issuedKey{}, err
	}
	return s.issued(c.Create(ctx, key))
}

func (s serverKeys) list(ctx context.Context, owner *string, o client.ListOptions) iter.Seq2[client.Key, error] {
	return func(yield func(client.Key, error) bool) {
		c, err := s.about(owner)
		if err != nil {
			yield(client.Key{}, err)
			return
		}
		for key, err := range c.List(ctx, o) {
			if !yield(key, s.at(err)) {
				return
			}
		}
	}
}

func (s serverKeys) get(ctx context.Context, ref keyRef) (client.Key, error) {
	c, err := s.about(ref.owner)
	if err != nil {
		return client.Key{}, err
	}
	key, err := c.Get(ctx, ref.nameOrID)
	return key, s.at(err)
}

func (s serverKeys) update(ctx context.Context, ref keyRef, change client.Change) (client.Key, error) {
	c, err := s.about(ref.owner)
	if err != nil {
		return client.Key{}, err
	}
	key, err := c.Update(ctx, ref.nameOrID, change)
	return key, s.at(err)
}

func (s serverKeys) rotate(ctx context.Context, ref keyRef, grace time.Duration) (issuedKey, error) {
	c, err := s.about(ref.owner)
	if err != nil {
		return issuedKey{}, err
	}
	return s.issued(c.Rotate(ctx, ref.nameOrID, grace))
}

func (s serverKeys) revoke(ctx context.Context, ref keyRef) (client.Key, error) {
	c, err := s.about(ref.owner)
	if err != nil {
		return client.Key{}, err
	}
	key, err := c.Revoke(ctx, ref.nameOrID)
	return key, s.at(err)
}

func (s serverKeys) verify(ctx context.Context, secret string, scopes []string) (client.Verification, error) {
	decision, err := s.client.Verify(ctx, secret, scopes...)
	return decision, s.at(err)
}

func (s serverKeys) whose(owner *string) string {
	if owner == nil {
		return "the owner of your key"
	}
	return *owner
}

func (serverKeys) close() error { return nil }

func (s serverKeys) issued(k client.CreatedKey, err error) (issuedKey, error) {
	return issuedKey{k.Key, k.Secret}, s.at(err)
}

// at says of what server an error speaks, where that may be the wrong one.
func (s serverKeys) at(err error) error {
	refusal, refused := errors.AsType[*client.Error](err)
	switch {
	case err == nil, refused && refusal.Code != "", errors.Is(err, context.Canceled):
		return err
	case refused:
		foreign := *refusal
		foreign.Message = fmt.Sprintf("%s answers with status %d: %s", s.url, refusal.Status, refusal.Message)
		if refusal.Status == http.StatusBadRequest {
			foreign.Message += askTLS(s.url)
		}
		return &foreign
	}
	return errors.New(printable(s.url + ": " + unanswered(s.url, err)))
}

// unanswered says in one line why no answer came, and what may help.
func unanswered(server string, err error) string {
	text := strings.TrimPrefix(err.Error(), "apikeyd: ")
	wait, _ := errors.AsType[net.Error](err)
	dial, _ := errors.AsType[*net.OpError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case wait != nil && wait.Timeout():
		return "no answer in time; does apikeyd serve there? --timeout waits longer"
	case untrusted:
		text += "; this machine does not trust the certificate of the server"
	case plain || strings.Contains(text, "HTTP response to HTTPS client"):
		text += "; the server speaks no TLS: its URL begins with http://"
	case speaksNoHTTP(err):
		text += askTLS(server)
	case dial != nil && dial.Op == "dial":
		text += "; does apikeyd serve there?"
	}
	return text
}

// speaksNoHTTP reports whether a server hung up on a request, or answered in another protocol.
func speaksNoHTTP(err error) bool {
	return errors.Is(err, io.EOF) || err != nil && strings.Contains(err.Error(), "malformed HTTP response")
}

// askTLS is what to try if a server does not understand http.
func askTLS(server string) string {
	if rest, plain := strings.CutPrefix(server, "http://"); plain {
		return "; if it speaks TLS, its URL is https://" + rest
	}
	return ""
}

// ownPaths are what people copy together with the URL of a server.
var ownPaths = []string{"/v1/api-keys", "/v1", "/console", "/docs", "/openapi.yaml", "/openapi.json"}

// checkURL refuses what is no URL of a server, and says what may be meant. It repeats nothing
// that may hold a password.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("--url must begin with http:// or https:// and name a host" + perhaps(text))
	}
	path := strings.TrimRight(u.Path, "/")
	for _, own := range ownPaths {
		if base, found := strings.CutSuffix(path, own); found && u.User == nil {
			u.Path, u.RawPath, u.RawQuery, u.Fragment = base, "", "", ""
			return fmt.Errorf("--url must end before %s; write --url %s", own, u)
		}
	}
	return nil
}

// perhaps is an address with the scheme that it lacks.
func perhaps(text string) string {
	u, err := url.Parse("https://" + text)
	isAddress := err == nil && (u.Port() != "" || u.Hostname() == "localhost" || strings.Contains(u.Hostname(), "."))
	if !isAddress || strings.ContainsAny(text, "@ ") || strings.Contains(text, "://") {
		return ", such as https://keys.example.com"
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		u.Scheme = "http"
	}
	return "; write --url " + u.String()
}
