package handlers

import (
	"context"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/quota"
	"apikeyd/internal/usage"
)

// GetSummary implements the operation getSummary.
func (s *Server) GetSummary(
	ctx context.Context, request gen.GetSummaryRequestObject,
) (gen.GetSummaryResponseObject, error) {
	owner, err := listedOwner(callerFrom(ctx).key, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	found, err := s.Store.Summary(ctx, owner, s.Now())
	if err != nil {
		return nil, err
	}
	return gen.GetSummary200JSONResponse{Body: gen.SummaryResponse{
		Active: found.Active, Expired: found.Expired, Revoked: found.Revoked, Suspended: found.Suspended,
		Rotating: found.Rotating, ExpiringSoon: found.ExpiringSoon, Unused: found.Unused,
	}}, nil
}

// GetUsage implements the operation getUsage.
func (s *Server) GetUsage(
	ctx context.Context, request gen.GetUsageRequestObject,
) (gen.GetUsageResponseObject, error) {
	owner, err := listedOwner(callerFrom(ctx).key, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	return gen.GetUsage200JSONResponse{Body: usageResponse(s.Verifier.Usage(owner))}, nil
}

// GetApiKeyUsage implements the operation getApiKeyUsage.
func (s *Server) GetApiKeyUsage(
	ctx context.Context, request gen.GetApiKeyUsageRequestObject,
) (gen.GetApiKeyUsageResponseObject, error) {
	ref, err := reference(callerFrom(ctx).key, request.KeyName, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	found, err := s.Verifier.Keys.Key(ctx, ref)
	if err != nil {
		return nil, err
	}
	answer := usageResponse(s.Verifier.KeyUsage(found.Key.ID))
	state, err := s.Verifier.KeyQuota(ctx, found.Key)
	if err != nil {
		return nil, err
	}
	if state != (quota.State{}) {
		answer.Quota = &gen.QuotaState{Remaining: int64(state.Remaining), ResetsAt: apikey.Timestamp(state.ResetsAt)}
	}
	return gen.GetApiKeyUsage200JSONResponse{Body: answer}, nil
}

func usageResponse(u usage.Usage) gen.UsageResponse {
	r := gen.UsageResponse{
		Since: apikey.Timestamp(u.Since), IntervalSeconds: int(u.Interval.Seconds()), Data: []gen.UsageCount{},
	}
	for _, count := range u.Counts {
		r.Data = append(r.Data, gen.UsageCount{
			Start: apikey.Timestamp(count.Start), Valid: count.Valid, Refused: count.Refused,
		})
	}
	return r
}
