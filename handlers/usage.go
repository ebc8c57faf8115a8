package handlers

import (
	"context"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/internal/quota"
	"apikeyd/store"
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
	answer, err := s.usage(ctx, store.Subject{Owner: owner}, usageParams{gen.UsageIntervalMinute, request.Params.Since, request.Params.Until, request.Params.Interval})
	if err != nil {
		return nil, err
	}
	return gen.GetUsage200JSONResponse{Body: answer}, nil
}

// GetApiKeyUsage implements the operation getApiKeyUsage.
func (s *Server) GetApiKeyUsage(
	ctx context.Context, request gen.GetApiKeyUsageRequestObject,
) (gen.GetApiKeyUsageResponseObject, error) {
	found, err := s.cachedKey(ctx, request.KeyName, request.Params.Owner)
	if err != nil {
		return nil, err
	}
	answer, err := s.usage(ctx, store.Subject{Key: found.Key.ID}, usageParams{gen.UsageIntervalHour, request.Params.Since, request.Params.Until, request.Params.Interval})
	if err != nil {
		return nil, err
	}
	state, err := s.Verifier.KeyQuota(ctx, found.Key)
	if err != nil {
		return nil, err
	}
	if state != (quota.State{}) {
		answer.Quota = &gen.QuotaState{Remaining: int64(state.Remaining), ResetsAt: apikey.Timestamp(state.ResetsAt)}
	}
	return gen.GetApiKeyUsage200JSONResponse{Body: answer}, nil
}

// maxIntervals is how many intervals an answer has at most.
const maxIntervals = 400

// usageParams are the parameters of both operations, and the interval of which answers are without one.
type usageParams struct {
	otherwise    gen.UsageInterval
	since, until *apikey.Timestamp
	interval     *gen.UsageInterval
}

// steps are the intervals that there are, and how many of them an answer has by default.
var steps = []struct {
	name   gen.UsageInterval
	length time.Duration
	n      int
}{{gen.UsageIntervalMinute, time.Minute, 60}, {gen.UsageIntervalHour, store.Hour, 24}, {gen.UsageIntervalDay, store.Day, 30}}

// query returns the intervals that are asked for. Without an interval, an early since makes them longer.
func (p usageParams) query(of store.Subject, now time.Time) (q store.UsageQuery, err error) {
	named := false
	for _, step := range steps {
		if named = named || step.name == or(p.interval, p.otherwise); !named {
			continue
		}
		q = store.UsageQuery{Subject: of, Interval: step.length}
		q.To = now.UTC().Truncate(q.Interval).Add(q.Interval)
		if p.until != nil {
			q.To = p.until.Time().Add(q.Interval - 1).Truncate(q.Interval)
		}
		if q.From = q.To.Add(-time.Duration(step.n) * q.Interval); p.since != nil {
			q.From = p.since.Time().Truncate(q.Interval)
		}
		if p.interval != nil || q.To.Sub(q.From) <= maxIntervals*q.Interval {
			break
		}
	}
	most := maxIntervals * q.Interval
	switch {
	case !named: // only from the operator: the contract's check refuses it in others
		return q, apikey.Invalid("interval", "must be minute, hour or day")
	case !q.From.Before(q.To):
		return q, apikey.Invalid("since", "must be before `until`, or before now without it")
	case q.To.Unix() <= 0:
		return q, apikey.Invalid("until", "must be after 1970 began")
	case q.To.Sub(q.From) > most && p.interval != nil:
		return q, apikey.Invalid("since", fmt.Sprintf("must be at most %d intervals before `until`, or before now without it: "+
			"ask for a later time or a longer interval", maxIntervals))
	case q.To.Sub(q.From) > most:
		q.From = q.To.Add(-most)
	}
	if epoch := time.Unix(0, 0).UTC(); q.From.Before(epoch) {
		q.From = epoch // years before 0 have no RFC 3339
	}
	return q, nil
}

func (s *Server) usage(ctx context.Context, of store.Subject, p usageParams) (r gen.UsageResponse, err error) {
	q, err := p.query(of, s.Now())
	if err != nil {
		return r, err
	}
	u, err := s.Verifier.Keys.Usage(ctx, q)
	if err != nil {
		return r, err
	}
	r = gen.UsageResponse{Since: apikey.Timestamp(u.Since), IntervalSeconds: int(q.Interval.Seconds()), Data: []gen.UsageCount{}}
	for _, interval := range u.Counts {
		count := gen.UsageCount{
			Start: apikey.Timestamp(interval.Start), Valid: interval.Counts.Valid(), Refused: interval.Counts.Refused(),
			Codes: map[string]int64{},
		}
		for i, n := range interval.Counts {
			if n != 0 {
				count.Codes[store.Outcomes[i]] = n
			}
		}
		r.Data = append(r.Data, count)
	}
	return r, nil
}
