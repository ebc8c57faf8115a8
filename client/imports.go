package client

import (
	"context"
	"time"

	"apikeyd/client/internal/api"
)

// MaxImport is how many keys one call of [Client.Import] takes.
const MaxImport = 100

// HashScheme is how another service hashes its secrets.
type HashScheme string

// The schemes. The server verifies secrets of SchemeHMAC only with the pepper of that service.
const (
	SchemeSHA256 HashScheme = "sha256"
	SchemeSHA512 HashScheme = "sha512"
	SchemeHMAC   HashScheme = "hmac-sha256"
)

// ImportedKey is a key of another service, with either its Secret, or its Hash and Scheme.
type ImportedKey struct {
	Name         string            `json:"name"`
	ExpiresAt    time.Time         `json:"expires_at"`
	Owner        string            `json:"owner,omitzero"` // the calling key's if empty
	Scopes       []string          `json:"scopes,omitzero"`
	Metadata     map[string]string `json:"metadata,omitzero"`
	RateLimit    RateLimit         `json:"rate_limit,omitzero"`
	Quota        Quota             `json:"quota,omitzero"`
	AllowedCIDRs []string          `json:"allowed_cidrs,omitzero"`
	Enabled      *bool             `json:"enabled,omitzero"` // false suspends it; nil is true

	Secret string     `json:"secret,omitzero"` // 16 to 512 ASCII characters without spaces
	Scheme HashScheme `json:"scheme,omitzero"`
	Hash   string     `json:"hash,omitzero"` // in hex, base64 or base64url
}

// ImportOutcome is what became of a row.
type ImportOutcome string

// The outcomes.
const (
	ImportCreated  ImportOutcome = "created"  // there is a new key, or would be
	ImportExists   ImportOutcome = "exists"   // the secret was imported before
	ImportConflict ImportOutcome = "conflict" // the owner has a key of this name, or as many as it may have
	ImportInvalid  ImportOutcome = "invalid"  // the row breaks a rule
)

// ImportedRow says what became of a row.
type ImportedRow struct {
	Row     int           `json:"row"` // its place in the call, from 0
	Outcome ImportOutcome `json:"outcome"`
	ID      string        `json:"id,omitzero"`      // of the key, if there is one
	Field   string        `json:"field,omitzero"`   // what to fix
	Message string        `json:"message,omitzero"` // and how
}

type importAnswer struct {
	Rows []ImportedRow `json:"rows"`
}

// Import creates up to [MaxImport] keys whose secrets another service issued, or with dryRun says what would become of
// them. It needs keys:admin. Each row is imported by itself. A secret is imported once, so an import may be repeated. If
// the rows do not match the contract, none is imported: the fields of the *[Error] begin with "keys." and the row.
func (c *Client) Import(ctx context.Context, keys []ImportedKey, dryRun bool) ([]ImportedRow, error) {
	rows := make([]ImportedKey, len(keys))
	for i, key := range keys {
		key.ExpiresAt = key.ExpiresAt.UTC()
		rows[i] = key
	}
	body, err := encode(struct {
		DryRun bool          `json:"dry_run,omitzero"`
		Keys   []ImportedKey `json:"keys"`
	}{dryRun, rows})
	if err != nil {
		return nil, err
	}
	request, err := api.NewImportApiKeysRequestWithBody(c.base, jsonType, body)
	if err != nil {
		return nil, unsendable(err)
	}
	var answer importAnswer
	err = c.send(ctx, request, true, 200, &answer)
	return answer.Rows, err
}
