-- +goose Up

-- What calls used of quotas since a period started. No index but the key: each row is written often.
CREATE TABLE quota_uses (
    subject BYTEA  NOT NULL PRIMARY KEY, -- k and the id of a key, or o and an owner
    since   BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    granted BIGINT NOT NULL -- what was taken last
) WITH (fillfactor = 50);

-- No period is no quota.
ALTER TABLE api_keys ADD COLUMN quota_limit BIGINT;
ALTER TABLE api_keys ADD COLUMN quota_period TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN quota_starts_on BIGINT;
