-- +goose Up

-- What calls used of quotas since a period started.
CREATE TABLE quota_uses (
    subject BLOB    NOT NULL PRIMARY KEY, -- k and the id of a key, or o and an owner
    since   INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    granted INTEGER NOT NULL -- what was taken last
) STRICT, WITHOUT ROWID;

-- No period is no quota.
ALTER TABLE api_keys ADD COLUMN quota_limit INTEGER;
ALTER TABLE api_keys ADD COLUMN quota_period TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN quota_starts_on INTEGER;
