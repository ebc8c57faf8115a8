package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/keycache"
	"apikeyd/store"
)

const (
	defaultPage         = 1
	defaultItemsPerPage = 20
)

// CreateApiKey implements the operation createApiKey.
func (s *Server) CreateApiKey(
	ctx context.Context, request gen.CreateApiKeyRequestObject,
) (gen.CreateApiKeyResponseObject, error) {
	who := callerFrom(ctx)
	now := s.Now()
	key, secret, err := s.Policy.NewKey(now, settingsOf(request.Body, who.key))
	if err != nil {
		return nil, err
	}
	shown, err := show(secret, request.Body.Recipient)
	if err != nil {
		return nil, err
	}
	owner, err := s.Verifier.Keys.Owner(ctx, key.Owner, now)
	if err != nil {
		return nil, err
	}
	key.OwnerSuspended = owner != nil && owner.Suspended
	if err := s.Store.CreateKey(ctx, who.actor(), key); err != nil {
		return nil, err
	}
	location := "/v1/api-keys/" + key.ID.String()
	return secretAnswer(http.StatusCreated, location, &key, shown, now), nil
}

// ListApiKeys implements the operation listApiKeys.
func (s *Server) ListApiKeys(
	ctx context.Context, request gen.ListApiKeysRequestObject,
) (gen.ListApiKeysResponseObject, error) {
	who := callerFrom(ctx)
	owner, err := listedOwner(who.key, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	now, params := s.Now(), request.Params
	if params.Sessions != nil && who.key.Session == apikey.SessionLink {
		return nil, &apikey.DeniedError{Reason: "sessions: somebody who came by an owner link sees keys only; leave it out"}
	}
	if text := or(params.NameContains, ""); !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		return nil, apikey.Invalid("name_contains", "must be valid UTF-8 without NUL, as names are")
	}
	if params.Search != nil {
		if err := apikey.CheckSearch(*params.Search); err != nil {
			return nil, err
		}
	}
	metadata, err := apikey.ParseMetadataFilter(or(params.Metadata, nil))
	if err != nil {
		return nil, err
	}
	size := or(params.ItemsPerPage, defaultItemsPerPage)
	query := store.Query{
		Owner:          owner,
		Status:         apikey.Status(or(params.Status, "")),
		At:             now,
		NameContains:   or(params.NameContains, ""),
		Scope:          or(params.Scope, ""),
		Metadata:       metadata,
		Search:         or(params.Search, ""),
		ExpiresBefore:  boundary(params.ExpiresBefore),
		LastUsedBefore: boundary(params.LastUsedBefore),
		Enabled:        params.Enabled,
		Reason:         apikey.Reason(or(params.RevocationReason, "")),
		Rotating:       params.Rotating,
		Foreign:        params.Foreign,
		Sessions:       or(params.Sessions, false),
		Limit:          size,
	}
	pagination := gen.Pagination{ItemsPerPage: size}
	if params.Cursor == nil {
		pagination.CurrentPage = or(params.Page, defaultPage)
		query.Offset = (pagination.CurrentPage - 1) * size
	} else if query.After, err = readCursor(owner, params); err != nil {
		return nil, err
	}
	found, err := s.Verifier.Keys.Page(ctx, query)
	if err != nil {
		return nil, err
	}
	pagination.TotalPages = (found.Total + size - 1) / size // 0 with a cursor: the store does not count then
	if found.More {
		cursor, err := newCursor(found.Entries[len(found.Entries)-1].Key.ID, owner, params)
		if err != nil {
			return nil, err
		}
		pagination.NextCursor = &cursor
	}
	return listAnswer(found.Entries, pagination, now), nil
}

// boundary returns a filter's time. It moves year 1's first instant by a millisecond, because the zero
// time would be no filter; no key lies in between.
func boundary(at *apikey.Timestamp) time.Time {
	if at == nil {
		return time.Time{}
	}
	if at.Time().IsZero() {
		return at.Time().Add(time.Millisecond)
	}
	return at.Time()
}

// GetApiKey implements the operation getApiKey.
func (s *Server) GetApiKey(
	ctx context.Context, request gen.GetApiKeyRequestObject,
) (gen.GetApiKeyResponseObject, error) {
	found, err := s.cachedKey(ctx, request.KeyName, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	return keyAnswer(found, s.Now()), nil
}

// UpdateApiKey implements the operation updateApiKey.
func (s *Server) UpdateApiKey(
	ctx context.Context, request gen.UpdateApiKeyRequestObject,
) (gen.UpdateApiKeyResponseObject, error) {
	who := callerFrom(ctx)
	ref, err := changedReference(who.key, request.KeyName, request.Params.Owner, request.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	change := changeOf(request.Body)
	if err := s.Policy.CheckChange(s.Now(), change); err != nil {
		return nil, err
	}
	key, err := s.Store.UpdateKey(ctx, who.actor(), ref, change)
	if err != nil {
		return nil, err
	}
	return keyAnswer(&key, s.Now()), nil
}

// RotateApiKey implements the operation rotateApiKey.
func (s *Server) RotateApiKey(
	ctx context.Context, request gen.RotateApiKeyRequestObject,
) (gen.RotateApiKeyResponseObject, error) {
	who := callerFrom(ctx)
	ref, err := changedReference(who.key, request.KeyName, request.Params.Owner, request.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	key, err := s.Store.Key(ctx, ref)
	if err != nil {
		return nil, err
	}
	// The store refuses if the current secret is another by now: of two concurrent rotations, the later
	// would replace the secret that the earlier one returned.
	secret := key.NewSecret()
	shown, err := show(secret, request.Body.Recipient)
	if err != nil {
		return nil, err
	}
	key, err = s.Store.RotateKey(ctx, who.actor(), store.Ref{ID: key.ID, Match: ref.Match}, apikey.Rotation{
		From: key.SecretHash, To: secret.Hash(),
		Grace: time.Duration(or(request.Body.GraceSeconds, 0)) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return secretAnswer(http.StatusOK, "", &key, shown, s.Now()), nil
}

// RevokeApiKey implements the operation revokeApiKey.
func (s *Server) RevokeApiKey(
	ctx context.Context, request gen.RevokeApiKeyRequestObject,
) (gen.RevokeApiKeyResponseObject, error) {
	who := callerFrom(ctx)
	ref, err := changedReference(who.key, request.KeyName, request.Params.Owner, request.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	key, err := s.Store.RevokeKey(ctx, who.actor(), ref, apikey.Reason(or(request.Params.Reason, "")))
	if err != nil {
		return nil, err
	}
	return keyAnswer(&key, s.Now()), nil
}

// cachedKey returns the key that {key_name} and ?owner= name, without its metadata if it is cached.
func (s *Server) cachedKey(ctx context.Context, keyName string, owner *string) (*keycache.Entry, error) {
	ref, err := reference(callerFrom(ctx).key, keyName, owner)
	if err != nil {
		return nil, err
	}
	return s.Verifier.Keys.Key(ctx, ref)
}

// reference resolves {key_name} and ?owner= to a reference. A UUID is always an id. A name that no key
// can have is not found, without asking the store.
func reference(who *apikey.Key, keyName string, owner *string) (store.Ref, error) {
	ref := store.Ref{Owner: who.Owner}
	if owner != nil {
		if err := checkOwner(who, *owner); err != nil {
			return store.Ref{}, err
		}
		ref.Owner = *owner
	}
	if id, err := apikey.ParseID(keyName); err == nil {
		if id.IsZero() {
			return store.Ref{}, store.ErrNotFound // a Ref with a zero id is by name
		}
		ref.ID = id
		if owner == nil && who.Scopes.Has(apikey.ScopeAdmin) {
			ref.Owner = "" // an admin reaches any owner's key by id
		}
		return ref, nil
	}
	if apikey.CheckName(keyName) != nil {
		return store.Ref{}, store.ErrNotFound
	}
	ref.Name = keyName
	return ref, nil
}

// changedReference is reference for a change, with its condition.
func changedReference(who *apikey.Key, keyName string, owner, ifMatch *string) (store.Ref, error) {
	ref, err := reference(who, keyName, owner)
	if err != nil || ifMatch == nil {
		return ref, err
	}
	if ref.Match, err = apikey.ParseMatch(*ifMatch); err != nil {
		return ref, apikey.Invalid("If-Match", err.Error())
	}
	return ref, nil
}

// listedOwner returns the owner whose keys a list shows, or "" for all owners.
func listedOwner(who *apikey.Key, owner *string) (string, error) {
	switch {
	case owner != nil:
		return *owner, checkOwner(who, *owner)
	case who.Scopes.Has(apikey.ScopeAdmin):
		return "", nil
	}
	return who.Owner, nil
}

func checkOwner(who *apikey.Key, owner string) error {
	if err := apikey.CheckOwner(owner); err != nil {
		return err
	}
	return who.MayReach(owner)
}

// or returns *p, or a default if p is nil.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
