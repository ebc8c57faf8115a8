package client

import (
	"context"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

// Summary says how many keys there are now: by status, and of those that are ACTIVE how
// many want attention.
type Summary struct {
	Active, Expired, Revoked int

	Rotating     int // whose secret before the last rotation is still good
	ExpiringSoon int // that expire within 30 days
	Unused       int // last used, or if never then created, more than 90 days ago
}

// Summary counts the keys that [Client.List] lists. The service reads them all for it.
func (c *Client) Summary(ctx context.Context) (Summary, error) {
	request, err := api.NewGetSummaryRequest(c.base, &api.GetSummaryParams{Owner: c.owner})
	if err != nil {
		return Summary{}, unsendable(err)
	}
	var answer summaryAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return Summary{}, err
	}
	return Summary{
		Active: *answer.Active, Expired: answer.Expired, Revoked: answer.Revoked,
		Rotating: answer.Rotating, ExpiringSoon: answer.ExpiringSoon, Unused: answer.Unused,
	}, nil
}

// summaryAnswer tells no active keys from no answer.
type summaryAnswer struct {
	api.SummaryResponse
	Active *int `json:"active"`
}

func (a *summaryAnswer) whole() bool { return a.Active != nil }

// Usage is how often keys were verified: by [Client.Verify], by gateways and by token
// introspection. Each node of the service counts by itself, in memory: a restart begins
// anew, and of several nodes only the one that answers has told.
type Usage struct {
	Since    time.Time     // when the service began to count
	Interval time.Duration // of each Count
	Counts   []UsageCount  // oldest first, without gaps; the last one is not over yet
}

// UsageCount is what was decided in one interval.
type UsageCount struct {
	Start          time.Time
	Valid, Refused int
}

// Usage returns how often keys were verified in each minute of the last hour: those of the
// calling key's owner, or those of [Client.ForOwner]; with keys:admin and without ForOwner,
// those of all owners, and then Refused holds also secrets that are no key's.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	request, err := api.NewGetUsageRequest(c.base, &api.GetUsageParams{Owner: c.owner})
	return c.usage(ctx, request, err)
}

// KeyUsage returns how often a key, found as by [Client.Get], was verified in each hour of
// the last day.
func (c *Client) KeyUsage(ctx context.Context, nameOrID string) (Usage, error) {
	if err := checkName(nameOrID); err != nil {
		return Usage{}, err
	}
	request, err := api.NewGetApiKeyUsageRequest(c.base, nameOrID, &api.GetApiKeyUsageParams{Owner: c.owner})
	return c.usage(ctx, request, err)
}

// usage sends a request, which may have failed to be made.
func (c *Client) usage(ctx context.Context, request *http.Request, failed error) (Usage, error) {
	if failed != nil {
		return Usage{}, unsendable(failed)
	}
	var answer usageAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return Usage{}, err
	}
	u := Usage{Since: answer.Since, Interval: time.Duration(answer.IntervalSeconds) * time.Second}
	for _, count := range answer.Data {
		u.Counts = append(u.Counts, UsageCount{Start: count.Start, Valid: count.Valid, Refused: count.Refused})
	}
	return u, nil
}

type usageAnswer api.UsageResponse

func (a *usageAnswer) whole() bool { return a.Data != nil }
