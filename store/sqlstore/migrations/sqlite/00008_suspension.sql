-- +goose Up

-- 1 while the key is suspended, else NULL; never both suspended and revoked.
ALTER TABLE api_keys ADD COLUMN suspended INTEGER;
ALTER TABLE api_keys ADD COLUMN revocation_reason TEXT NOT NULL DEFAULT ''; -- empty in keys that older versions revoked

-- Counts suspended keys. Costs a suspension, not an insert.
CREATE INDEX api_keys_suspended ON api_keys (owner, suspended) WHERE suspended IS NOT NULL;
