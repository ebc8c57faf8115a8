package client

import (
	"context"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

// Past is a key as it was at an earlier time. Its JSON is that of the contract.
type Past struct {
	At  time.Time `json:"at"`
	Key Key       `json:"key"` // LastUsedAt is zero: its past is not recorded

	// SecretGeneration counts the secrets that the key had had by then, from 1, and SecretSince is when the last
	// was made. They are zero if the audit log no longer reaches back so far.
	SecretGeneration int       `json:"secret_generation,omitzero"`
	SecretSince      time.Time `json:"secret_since,omitzero"`

	// Consistent reports whether the recorded changes lead from then to what the key is now. If not, somebody
	// changed the database itself, or the clocks of nodes differ.
	Consistent bool `json:"consistent"`
}

// GetAt returns what a key, found as by [Client.Get], was at an earlier time. An *[Error] with
// [CodeHistoryRemoved] means that the audit log no longer reaches back so far.
func (c *Client) GetAt(ctx context.Context, nameOrID string, at time.Time) (Past, error) {
	if err := checkName(nameOrID); err != nil {
		return Past{}, err
	}
	request, err := api.NewGetApiKeyHistoryRequest(c.base, nameOrID, &api.GetApiKeyHistoryParams{Owner: c.owner, At: &at})
	if err != nil {
		return Past{}, unsendable(err)
	}
	var answer pastAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return Past{}, err
	}
	return Past(answer), nil
}

type pastAnswer Past

func (a *pastAnswer) complete() bool { return a.Key.complete() }
