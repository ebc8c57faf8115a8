package client

import (
	"context"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

// Summary counts keys: by status, and ACTIVE ones that need attention.
type Summary struct {
	Active, Expired, Revoked int

	Suspended    int // Revoked includes them
	Rotating     int // ACTIVE, and the secret before the last rotation is still valid
	ExpiringSoon int // ACTIVE, and expires within 30 days
	Unused       int // ACTIVE, and last used (or if never, created) more than 90 days ago
}

// Summary counts the keys that [Client.List] lists. The service reads all of them to count.
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
		Active: *answer.Active, Expired: answer.Expired, Revoked: answer.Revoked, Suspended: answer.Suspended,
		Rotating: answer.Rotating, ExpiringSoon: answer.ExpiringSoon, Unused: answer.Unused,
	}, nil
}

// summaryAnswer distinguishes an answer of 0 active keys from a body that is no summary.
type summaryAnswer struct {
	api.SummaryResponse
	Active *int `json:"active"`
}

func (a *summaryAnswer) complete() bool { return a.Active != nil }

// Usage is how often keys were verified: by [Client.Verify], by gateways and by token
// introspection. Each node of the service counts on its own, in memory: a restart resets its
// counts, and an answer covers only the node that sent it.
type Usage struct {
	Since    time.Time     // when the node started to count
	Interval time.Duration // of each Count
	Counts   []UsageCount  // oldest first, without gaps; the last interval is not over yet
	Quota    QuotaState    // of a single key's quota; zero if it has none
}

// UsageCount counts the decisions in one interval.
type UsageCount struct {
	Start          time.Time
	Valid, Refused int
}

// Usage returns how often keys were verified in each minute of the last hour: the keys of the
// calling key's owner, or those of [Client.ForOwner]. With keys:admin and without ForOwner it
// covers all owners, and Refused includes secrets that belong to no key.
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

// usage sends a request. failed is the error of building it, if any.
func (c *Client) usage(ctx context.Context, request *http.Request, failed error) (Usage, error) {
	if failed != nil {
		return Usage{}, unsendable(failed)
	}
	var answer usageAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return Usage{}, err
	}
	u := Usage{Since: answer.Since, Interval: time.Duration(answer.IntervalSeconds) * time.Second, Quota: quotaState(answer.Quota)}
	for _, count := range answer.Data {
		u.Counts = append(u.Counts, UsageCount{Start: count.Start, Valid: count.Valid, Refused: count.Refused})
	}
	return u, nil
}

type usageAnswer api.UsageResponse

func (a *usageAnswer) complete() bool { return a.Data != nil }
