package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/oapi-codegen/nullable"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/quota"
	"apikeyd/store"
)

// ListOwners implements the operation listOwners.
func (s *Server) ListOwners(
	ctx context.Context, request gen.ListOwnersRequestObject,
) (gen.ListOwnersResponseObject, error) {
	params := request.Params
	query := store.OwnerQuery{
		Search: or(params.Search, ""), Enabled: params.Enabled, At: s.Now(), Limit: or(params.ItemsPerPage, defaultItemsPerPage),
	}
	var err error
	if params.Search != nil {
		err = apikey.CheckSearch(query.Search)
	}
	if err == nil && params.Cursor != nil {
		query.After, err = readOwnerCursor(params)
	}
	if err != nil {
		return nil, err
	}
	page, err := s.Store.Owners(ctx, query)
	if err != nil {
		return nil, err
	}
	shown := make([]shownOwner, len(page.Owners))
	for i, o := range page.Owners {
		if shown[i], err = s.showOwner(ctx, o); err != nil {
			return nil, err
		}
	}
	cursor := ""
	if page.More {
		if cursor, err = newOwnerCursor(page.Owners[len(page.Owners)-1].Name, params); err != nil {
			return nil, err
		}
	}
	return answer{http.StatusOK, "", "", keySize * (len(shown) + 1), func(b []byte) []byte {
		b = append(b, `{"data":[`...)
		for i, o := range shown {
			if i > 0 {
				b = append(b, ',')
			}
			b = o.append(b)
		}
		b = append(b, ']')
		if cursor != "" {
			b = append(append(append(b, `,"next_cursor":"`...), cursor...), '"') // base64
		}
		return append(b, '}')
	}}, nil
}

// GetOwner implements the operation getOwner.
func (s *Server) GetOwner(ctx context.Context, request gen.GetOwnerRequestObject) (gen.GetOwnerResponseObject, error) {
	if who := callerFrom(ctx); request.Owner != who.key.Owner && !who.key.Scopes.Has(apikey.ScopeAdmin) {
		// Whether there is such an owner is not revealed.
		return nil, &apikey.DeniedError{Reason: "owner: only a key with " + apikey.ScopeAdmin + " may see another owner"}
	}
	if apikey.CheckOwner(request.Owner) != nil {
		return nil, store.ErrNoOwner
	}
	return s.ownerAnswer(ctx, request.Owner)
}

// UpdateOwner implements the operation updateOwner.
func (s *Server) UpdateOwner(
	ctx context.Context, request gen.UpdateOwnerRequestObject,
) (gen.UpdateOwnerResponseObject, error) {
	if err := apikey.CheckOwner(request.Owner); err != nil {
		return nil, err
	}
	change := ownerChangeOf(request.Body)
	if err := apikey.CheckOwnerChange(change); err != nil {
		return nil, err
	}
	who := callerFrom(ctx)
	if who.command == "" && request.Owner == who.key.Owner {
		if err := checkOwnOwner(change, exchangeOf(ctx).callerAddress()); err != nil {
			return nil, err
		}
	}
	if _, err := s.Store.UpdateOwner(ctx, who.actor(), request.Owner, change); err != nil {
		return nil, err
	}
	return s.ownerAnswer(ctx, request.Owner)
}

// checkOwnOwner refuses a change of the caller's own owner after which the caller could not undo it.
func checkOwnOwner(change apikey.OwnerChange, from netip.Addr) error {
	if or(change.Suspended, false) {
		return &apikey.DeniedError{Reason: "enabled: your own key belongs to this owner, so nobody could enable it again with it; " +
			"use a key of another owner"}
	}
	if networks := or(change.AllowedCIDRs, nil); len(networks) > 0 && !networks.Contain(from) {
		where := "your address is unknown here"
		if from.IsValid() {
			where = "your address is " + from.String()
		}
		return &apikey.DeniedError{Reason: "allowed_cidrs: your own key belongs to this owner, and " + where + ", which is in none of these " +
			"networks, so you could not undo this; add your network, or use a key of another owner"}
	}
	return nil
}

func (s *Server) ownerAnswer(ctx context.Context, name string) (a answer, err error) {
	state, err := s.Store.Owner(ctx, name, s.Now())
	if err != nil {
		return a, err
	}
	shown, err := s.showOwner(ctx, state)
	return answer{http.StatusOK, "", "", keySize, shown.append}, err
}

// shownOwner is an owner in the contract's JSON.
type shownOwner struct {
	store.OwnerState
	quota quota.State
}

func (s *Server) showOwner(ctx context.Context, o store.OwnerState) (shownOwner, error) {
	state, err := s.Verifier.OwnerQuota(ctx, o.Owner)
	return shownOwner{o, state}, err
}

func (o shownOwner) append(b []byte) []byte {
	name, _ := json.Marshal(o.Name) // a text always has a JSON
	b = append(append(b, `{"owner":`...), name...)
	b = o.AppendFields(b)
	b = append(b, `,"keys":{`...)
	for _, count := range [...]struct {
		name string
		n    int
	}{{`"active":`, o.Keys.Active}, {`,"expired":`, o.Keys.Expired}, {`,"revoked":`, o.Keys.Revoked}, {`,"suspended":`, o.Keys.Suspended}} {
		b = strconv.AppendInt(append(b, count.name...), int64(count.n), 10)
	}
	b = append(b, '}')
	if !o.LastUsedAt.IsZero() {
		b = append(apikey.Timestamp(o.LastUsedAt).Append(append(b, `,"last_used_at":"`...)), '"')
	}
	if o.quota != (quota.State{}) {
		b = appendQuotaState(append(b, `,"quota_state":`...), o.quota)
	}
	return append(b, '}')
}

// VisitListOwnersResponse writes an answer of listOwners.
func (a answer) VisitListOwnersResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetOwnerResponse writes an answer of getOwner.
func (a answer) VisitGetOwnerResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitUpdateOwnerResponse writes an answer of updateOwner.
func (a answer) VisitUpdateOwnerResponse(w http.ResponseWriter) error { return a.write(w) }

// ownerChangeOf returns the change that a body requests. Absent properties stay nil.
func ownerChangeOf(body *gen.OwnerUpdate) apikey.OwnerChange {
	return apikey.OwnerChange{
		Suspended: not(body.Enabled),
		MaxKeys:   maxKeysOf(body.MaxKeys),
		RateLimit: rateLimitOf(body.RateLimit),
		Quota:     quotaOf(body.Quota),
		Metadata:  (*apikey.Metadata)(body.Metadata),

		AllowedCIDRs: cidrsOf(body.AllowedCidrs),
	}
}

// maxKeysOf returns nil if the bound is absent, and 0 if it is null. The number 0 is an invalid one.
func maxKeysOf(setting nullable.Nullable[int]) *int {
	switch {
	case !setting.IsSpecified():
		return nil
	case setting.IsNull():
		return new(0)
	case setting.MustGet() == 0:
		return new(-1)
	}
	return new(setting.MustGet())
}

// An owner's cursor is the last owner's name and a digest of the list's filters, as a key's is of its id. It
// never expires either.

func newOwnerCursor(last string, params gen.ListOwnersParams) (string, error) {
	params.Cursor, params.ItemsPerPage = nil, nil
	text, err := json.Marshal(params)
	digest := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(append([]byte(last), digest[:digestSize]...)), err
}

// readOwnerCursor returns the owner after whom a list continues.
func readOwnerCursor(params gen.ListOwnersParams) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(*params.Cursor)
	if err != nil || len(raw) <= digestSize || apikey.CheckOwner(string(raw[:len(raw)-digestSize])) != nil {
		return "", apikey.Invalid("cursor", "must be the next_cursor of an earlier answer, unchanged")
	}
	last := string(raw[:len(raw)-digestSize])
	switch want, err := newOwnerCursor(last, params); {
	case err != nil:
		return "", err
	case *params.Cursor != want:
		return "", apikey.Invalid("cursor", "belongs to a list with other filters; repeat that list's filters, "+
			"or start again without a cursor")
	}
	return last, nil
}
