package handlers

import (
	"context"
	"strings"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/review"
)

// GetApiKeyReview implements the operation getApiKeyReview.
func (s *Server) GetApiKeyReview(
	ctx context.Context, request gen.GetApiKeyReviewRequestObject,
) (gen.GetApiKeyReviewResponseObject, error) {
	found, err := s.cachedKey(ctx, request.KeyName, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	seen, err := s.Verifier.Keys.Seen(ctx, found.Key.ID, review.Since(now))
	if err != nil {
		return nil, err
	}
	return gen.GetApiKeyReview200JSONResponse{Body: reviewResponse(review.Of(found.Key, seen, now))}, nil
}

func reviewResponse(r review.Review) gen.ApiKeyReviewResponse {
	answer := gen.ApiKeyReviewResponse{
		Since: apikey.Timestamp(r.Since), Scopes: []gen.ReviewedScope{}, Networks: []gen.ReviewedNetwork{}, MoreNetworks: r.MoreNetworks,
	}
	for _, scope := range r.Scopes {
		reviewed := gen.ReviewedScope{Scope: scope.Name}
		if !scope.Asked.IsZero() {
			reviewed.LastAskedOn = new(date(scope.Asked))
		}
		answer.Scopes = append(answer.Scopes, reviewed)
	}
	for _, network := range r.Networks {
		answer.Networks = append(answer.Networks, gen.ReviewedNetwork{Network: network.String(), LastUsedOn: date(network.Used)})
	}
	if scopes, networks := r.Proposal.Scopes, r.Proposal.AllowedCIDRs; scopes != nil || networks != nil {
		answer.Proposal = &gen.ReviewProposal{Scopes: (*[]string)(scopes)}
		if networks != nil {
			answer.Proposal.AllowedCidrs = new(strings.Fields(networks.String()))
		}
	}
	return answer
}

func date(day time.Time) openapi_types.Date { return openapi_types.Date{Time: day} }
