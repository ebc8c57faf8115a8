package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"apikeyd/client/internal/api"
)

const jsonType = "application/json"

// createBody and updateBody are the generated bodies, and a rate limit that can be null.
type (
	createBody struct {
		api.ApiKeyCreate
		RateLimit json.RawMessage `json:"rate_limit,omitempty"`
	}
	updateBody struct {
		api.ApiKeyUpdate
		RateLimit json.RawMessage `json:"rate_limit,omitempty"`
	}
)

func (k NewKey) body(owner *string) (io.Reader, error) {
	if err := checkText(&k.Name, owner, k.Scopes, k.Metadata); err != nil {
		return nil, err
	}
	limit, err := setting(k.RateLimit)
	if err != nil {
		return nil, err
	}
	body := createBody{RateLimit: limit, ApiKeyCreate: api.ApiKeyCreate{
		Name: k.Name, ExpiresAt: k.ExpiresAt.UTC(), Owner: owner, Scopes: scopes(k.Scopes),
	}}
	if k.Metadata != nil {
		body.Metadata = (*api.Metadata)(&k.Metadata)
	}
	return encode(body)
}

func (c Change) body() (io.Reader, error) {
	var metadata map[string]string
	if c.Metadata != nil {
		metadata = *c.Metadata
	}
	if err := checkText(c.Name, nil, c.Scopes, metadata); err != nil {
		return nil, err
	}
	limit, err := setting(c.RateLimit)
	if err != nil {
		return nil, err
	}
	body := updateBody{RateLimit: limit, ApiKeyUpdate: api.ApiKeyUpdate{Name: c.Name, Scopes: scopes(c.Scopes)}}
	if c.ExpiresAt != nil {
		body.ExpiresAt = new(c.ExpiresAt.UTC())
	}
	if c.Metadata != nil {
		if metadata == nil {
			metadata = map[string]string{} // in JSON it would be null
		}
		body.Metadata = (*api.Metadata)(&metadata)
	}
	return encode(body)
}

// setting is a rate limit as a request says it: nothing if it is nil, null for none.
func setting(r *RateLimit) (json.RawMessage, error) {
	switch {
	case r == nil:
		return nil, nil
	case *r == RateLimit{}:
		return json.RawMessage("null"), nil
	case r.Window%time.Second != 0:
		return nil, errors.New("apikeyd: the window of a rate limit must be whole seconds")
	}
	return json.Marshal(api.RateLimitSetting{Limit: r.Limit, WindowSeconds: int(r.Window / time.Second)})
}

// encode makes a body that can be sent again.
func encode(body any) (io.Reader, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, unsendable(err)
	}
	return bytes.NewReader(text), nil
}

// checkText refuses what encoding/json would silently turn into another text.
func checkText(name, owner *string, scopes *[]string, metadata map[string]string) error {
	valid := (name == nil || utf8.ValidString(*name)) && (owner == nil || utf8.ValidString(*owner))
	if scopes != nil {
		for _, scope := range *scopes {
			valid = valid && utf8.ValidString(scope)
		}
	}
	for entry, value := range metadata {
		valid = valid && utf8.ValidString(entry) && utf8.ValidString(value)
	}
	if !valid {
		return errors.New("apikeyd: the name, the owner, a scope or the metadata is not valid UTF-8")
	}
	return nil
}

// scopes makes a nil list an empty one: in JSON it would be null.
func scopes(list *[]string) *[]string {
	if list != nil && *list == nil {
		return &[]string{}
	}
	return list
}
