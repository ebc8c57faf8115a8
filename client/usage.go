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
// introspection. Hours and days are those of all nodes of the service. Each node counts minutes on its own, in
// memory: a restart resets them.
type Usage struct {
	Since    time.Time     // since when there are counts of this interval; earlier ones are not known
	Interval time.Duration // of each Count
	Counts   []UsageCount  // oldest first, without gaps; without Until, the last interval is not over yet
	Quota    QuotaState    // of a single key's quota; zero if it has none
}

// UsageCount counts the decisions in one interval.
type UsageCount struct {
	Start          time.Time
	Valid, Refused int
	Codes          map[VerifyCode]int // those that there were
}

// UsageInterval is the length of the intervals of a Usage.
type UsageInterval string

// The intervals. Days are those of UTC.
const (
	UsageByMinute UsageInterval = "minute" // of the last hour
	UsageByHour   UsageInterval = "hour"
	UsageByDay    UsageInterval = "day"
)

// UsageOptions choose intervals. The zero UsageOptions choose the last hour by the minute, or of a key the last day by
// the hour.
type UsageOptions struct {
	Interval UsageInterval
	Since    time.Time // the interval of this time and later ones, at most 400; by default 60 minutes, 24 hours or 30 days
	Until    time.Time // only intervals that begin before; by default all until now
}

// Usage is UsageWith of the zero UsageOptions.
func (c *Client) Usage(ctx context.Context) (Usage, error) { return c.UsageWith(ctx, UsageOptions{}) }

// UsageWith returns how often keys were verified: those of the calling key's owner, or of [Client.ForOwner]. With
// keys:admin and without ForOwner it covers all owners, and Refused includes secrets that belong to no key.
func (c *Client) UsageWith(ctx context.Context, o UsageOptions) (Usage, error) {
	request, err := api.NewGetUsageRequest(c.base, &api.GetUsageParams{
		Owner: c.owner, Interval: unlessZero(api.UsageInterval(o.Interval)),
		Since: unlessZero(o.Since.UTC()), Until: unlessZero(o.Until.UTC()),
	})
	return c.usage(ctx, request, err)
}

// KeyUsage is KeyUsageWith of the zero UsageOptions.
func (c *Client) KeyUsage(ctx context.Context, nameOrID string) (Usage, error) {
	return c.KeyUsageWith(ctx, nameOrID, UsageOptions{})
}

// KeyUsageWith returns how often a key, found as by [Client.Get], was verified.
func (c *Client) KeyUsageWith(ctx context.Context, nameOrID string, o UsageOptions) (Usage, error) {
	if err := checkName(nameOrID); err != nil {
		return Usage{}, err
	}
	request, err := api.NewGetApiKeyUsageRequest(c.base, nameOrID, &api.GetApiKeyUsageParams{
		Owner: c.owner, Interval: unlessZero(api.UsageInterval(o.Interval)),
		Since: unlessZero(o.Since.UTC()), Until: unlessZero(o.Until.UTC()),
	})
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
		c := UsageCount{Start: count.Start, Valid: int(count.Valid), Refused: int(count.Refused), Codes: make(map[VerifyCode]int)}
		for code, n := range count.Codes {
			c.Codes[VerifyCode(code)] = int(n)
		}
		u.Counts = append(u.Counts, c)
	}
	return u, nil
}

type usageAnswer api.UsageResponse

func (a *usageAnswer) complete() bool { return a.Data != nil }
