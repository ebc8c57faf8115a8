-- +goose Up

ALTER TABLE api_keys ADD COLUMN suspended SMALLINT;
ALTER TABLE api_keys ADD COLUMN revocation_reason TEXT NOT NULL DEFAULT '';
CREATE INDEX api_keys_suspended ON api_keys (owner, suspended) WHERE suspended IS NOT NULL;
