package client

import (
	"context"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

// Review says what a key was used for in the last 30 days. Its JSON is that of the contract.
type Review struct {
	Since        time.Time         `json:"since"` // from when on uses count
	Scopes       []ReviewedScope   `json:"scopes"`
	Networks     []ReviewedNetwork `json:"networks"`
	MoreNetworks bool              `json:"more_networks"` // it was used from more networks than are kept

	// Proposal is the change that would leave the key only what it used, for [Client.Update]. The zero Change means
	// that nothing would be narrower, or that too little is known.
	Proposal Change `json:"proposal,omitzero"`
}

// ReviewedScope is a scope of a key.
type ReviewedScope struct {
	Scope       string `json:"scope"`
	LastAskedOn string `json:"last_asked_on,omitzero"` // a day in UTC, such as 2026-11-29; empty if no VALID call asked for it
}

// ReviewedNetwork is a network that a key was used from: an IPv4 /24 or an IPv6 /48.
type ReviewedNetwork struct {
	Network    string `json:"network"`
	LastUsedOn string `json:"last_used_on"` // a day in UTC
}

// Review returns what a key, found as by [Client.Get], was used for. Only scopes that a call named count as asked for,
// and only calls that said where they came from show a network.
func (c *Client) Review(ctx context.Context, nameOrID string) (Review, error) {
	if err := checkName(nameOrID); err != nil {
		return Review{}, err
	}
	request, err := api.NewGetApiKeyReviewRequest(c.base, nameOrID, &api.GetApiKeyReviewParams{Owner: c.owner})
	if err != nil {
		return Review{}, unsendable(err)
	}
	var answer reviewAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return Review{}, err
	}
	return Review(answer), nil
}

type reviewAnswer Review

func (a *reviewAnswer) complete() bool {
	return !a.Since.IsZero() && a.Scopes != nil && a.Networks != nil
}
