package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/basepath"
	"apikeyd/store"
)

// LinkPath is where owner links lead, below the address of this service.
const LinkPath = "/console/link"

// defaultSessionSeconds is how long a link's session lasts unless its creator says so.
const defaultSessionSeconds = 3600

// CreateOwnerLink implements the operation createOwnerLink.
func (s *Server) CreateOwnerLink(
	ctx context.Context, request gen.CreateOwnerLinkRequestObject,
) (gen.CreateOwnerLinkResponseObject, error) {
	who, body := callerFrom(ctx), request.Body
	if err := who.key.MayReach(request.Owner); err != nil {
		return nil, err
	}
	if apikey.CheckOwner(request.Owner) != nil {
		return nil, store.ErrNoOwner
	}
	link, token, err := apikey.NewLink(s.Now(), apikey.Link{
		Owner: request.Owner, Name: or(body.Name, "owner link"), Scopes: body.Scopes, Metadata: apikey.Metadata(or(body.Metadata, nil)),
		Lasts: time.Duration(or(body.SessionSeconds, defaultSessionSeconds)) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	if err := s.Store.CreateLink(ctx, who.actor(), link); err != nil {
		return nil, err
	}
	at := s.PublicURL
	if at == "" {
		at = exchangeOf(ctx).origin + basepath.Of(ctx)
	}
	return gen.CreateOwnerLink201JSONResponse{Body: gen.OwnerLinkResponse{
		Url: at + LinkPath + "#" + token.Reveal(), SessionId: uuid.UUID(link.ID), ExpiresAt: apikey.Timestamp(link.Until),
	}}, nil
}

// originOf returns the origin at which a caller reached this service. Only a trusted proxy says that there is TLS in front
// of it.
func (s *Server) originOf(r *http.Request) string {
	if r.TLS != nil || s.trustsPeer(r) && r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// linkOperations are the operations that the session of an owner link may call: what concerns one owner's keys, and
// nothing that says what operators do or set.
var linkOperations = map[string]bool{
	"createApiKey": true, "listApiKeys": true, "getApiKey": true, "updateApiKey": true, "rotateApiKey": true, "revokeApiKey": true,
	"getApiKeyUsage": true,
}

// refuseLink returns a *apikey.DeniedError if the caller came by an owner link and the operation is not for such callers.
func (x *exchange) refuseLink(op operation) error {
	if x.caller.key.Session == apikey.SessionLink && !linkOperations[op.id] {
		return apikey.ErrNotByLink
	}
	return nil
}
