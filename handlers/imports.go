package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// importing is a row of an import.
type importing struct {
	key     apikey.Key
	foreign apikey.Foreign
	err     error // why it was not imported, if it was not
}

// ImportApiKeys implements the operation importApiKeys.
func (s *Server) ImportApiKeys(
	ctx context.Context, request gen.ImportApiKeysRequestObject,
) (gen.ImportApiKeysResponseObject, error) {
	who, now := callerFrom(ctx), s.Now()
	if err := who.key.MayImport(); err != nil {
		return nil, err
	}
	rows := make([]importing, len(request.Body.Keys))
	dryRun := or(request.Body.DryRun, false)
	add := func(r *importing) error {
		if dryRun {
			return s.checkImport(ctx, r)
		}
		return s.Store.ImportKey(ctx, who.actor(), r.key, r.foreign.Scheme)
	}
	var adding sync.WaitGroup // at once, so that they share a commit
	var later []*importing    // rows that may clash with an earlier one, which comes first
	seen := make(map[any]bool)
	type name struct{ owner, name string }
	for i := range rows {
		r := &rows[i]
		if r.key, r.foreign, r.err = s.foreignKey(now, request.Body.Keys[i], who.key.Owner); r.err != nil {
			continue
		}
		name := name{r.key.Owner, r.key.Name}
		sameSecret, sameName := seen[r.foreign], seen[name]
		seen[r.foreign], seen[name] = true, true
		switch {
		case dryRun && sameSecret:
			r.err = &store.ImportedError{}
		case dryRun && sameName:
			r.err = store.ErrNameTaken
		case sameSecret, sameName:
			later = append(later, r)
		default:
			adding.Go(func() { r.err = add(r) })
		}
	}
	adding.Wait()
	for _, r := range later {
		r.err = add(r)
	}
	if dryRun {
		if err := s.checkRooms(ctx, rows, now); err != nil {
			return nil, err
		}
	}
	report := gen.ApiKeyImportResponse{Rows: make([]gen.ImportedRow, len(rows))}
	for i := range rows {
		row, err := rows[i].report()
		if err != nil {
			return nil, unfinished(rows, err)
		}
		if row.Row = i; row.Id != nil && (dryRun && rows[i].err == nil || *row.Id == uuid.Nil) {
			row.Id = nil // there is no such key yet
		}
		report.Rows[i] = row
	}
	return gen.ImportApiKeys200JSONResponse{Body: report}, nil
}

// foreignKey makes the key of a row.
func (s *Server) foreignKey(now time.Time, row gen.ImportedKey, owner string) (apikey.Key, apikey.Foreign, error) {
	foreign, err := foreignOf(row)
	if err != nil {
		return apikey.Key{}, foreign, err
	}
	key, err := s.Policy.ImportedKey(now, apikey.Settings{
		Owner:        or(row.Owner, owner),
		Name:         row.Name,
		ExpiresAt:    row.ExpiresAt.Time(),
		Scopes:       or((*apikey.Scopes)(row.Scopes), apikey.Scopes{}),
		Metadata:     apikey.Metadata(or(row.Metadata, nil)),
		RateLimit:    or(rateLimitOf(row.RateLimit), apikey.RateLimit{}),
		Quota:        or(quotaOf(row.Quota), apikey.Quota{}),
		Suspended:    !or(row.Enabled, true),
		AllowedCIDRs: apikey.ParseCIDRs(or(row.AllowedCidrs, nil)),
	}, foreign)
	return key, foreign, err
}

func foreignOf(row gen.ImportedKey) (apikey.Foreign, error) {
	switch {
	case (row.Secret == nil) == (row.Hash == nil):
		return apikey.Foreign{}, apikey.Invalid("secret", "must be there unless hash is, and not both")
	case (row.Hash == nil) != (row.Scheme == nil):
		return apikey.Foreign{}, apikey.Invalid("scheme", "must be there with hash, and only then")
	case row.Secret != nil:
		return apikey.ForeignSecret(*row.Secret)
	}
	scheme := apikey.Scheme(*row.Scheme)
	if !slices.Contains(apikey.Schemes, scheme) { // only from the operator: the contract's check refuses it in others
		return apikey.Foreign{}, apikey.Invalid("scheme", fmt.Sprintf("must be one of %v", apikey.Schemes))
	}
	return apikey.ForeignHash(scheme, *row.Hash)
}

// checkRooms has rows fail that would be created if their owners may have too few keys.
func (s *Server) checkRooms(ctx context.Context, rows []importing, now time.Time) error {
	rooms := make(map[string]int)
	for i := range rows {
		r := &rows[i]
		if r.err != nil {
			continue
		}
		room, known := rooms[r.key.Owner]
		if !known {
			found, bounded, err := s.Store.Room(ctx, r.key.Owner, now)
			if err != nil {
				return err
			}
			if room = found; !bounded {
				room = len(rows)
			}
		}
		rooms[r.key.Owner] = room - 1
		if room <= 0 {
			r.err = store.ErrTooManyKeys
		}
	}
	return nil
}

// checkImport returns the error that the import of a row would return, unless other rows or the owner's bound are its
// cause.
func (s *Server) checkImport(ctx context.Context, r *importing) error {
	id, _, err := s.Store.ForeignKey(ctx, []apikey.Foreign{r.foreign})
	if err == nil {
		return &store.ImportedError{Key: id}
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	key, err := s.Store.Key(ctx, store.ByName(r.key.Owner, r.key.Name))
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && key.IsRevoked():
		return nil
	case err == nil:
		return store.ErrNameTaken
	}
	return err
}

// report says what became of a row. The error says that nothing can be said of it.
func (r *importing) report() (row gen.ImportedRow, _ error) {
	var imported *store.ImportedError
	var invalid *apikey.InvalidError
	p := problemOf(r.err)
	field := "name"
	switch {
	case r.err == nil:
		return gen.ImportedRow{Outcome: gen.ImportedRowOutcomeCreated, Id: new(uuid.UUID(r.key.ID))}, nil
	case errors.As(r.err, &imported):
		return gen.ImportedRow{Outcome: gen.ImportedRowOutcomeExists, Id: new(uuid.UUID(imported.Key))}, nil
	case errors.As(r.err, &invalid):
		row.Outcome, field, p.message = gen.ImportedRowOutcomeInvalid, invalid.Fields[0].Field, invalid.Error()
	case errors.Is(r.err, store.ErrNameTaken):
		row.Outcome = gen.ImportedRowOutcomeConflict
	case errors.Is(r.err, store.ErrTooManyKeys):
		row.Outcome, field = gen.ImportedRowOutcomeConflict, "owner"
	default:
		return row, r.err
	}
	row.Field, row.Message = &field, new(apikey.Redact(p.message))
	return row, nil
}

// unfinished returns the error of an import that failed in between. That nothing was changed is true only if no row was
// imported.
func unfinished(rows []importing, err error) error {
	for i := range rows {
		if rows[i].err == nil && !errors.Is(err, store.ErrActorGone) {
			return fmt.Errorf("%w: some rows were imported: %v", store.ErrUncertain, err) //nolint:errorlint // not also ErrUnavailable
		}
	}
	return err
}
