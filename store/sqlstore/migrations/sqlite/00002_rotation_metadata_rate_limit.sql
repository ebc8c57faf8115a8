-- +goose Up

-- The secret before the last rotation, and the end of its grace.
ALTER TABLE api_keys ADD COLUMN old_secret_hash BLOB CHECK (length(old_secret_hash) = 32);
ALTER TABLE api_keys ADD COLUMN old_secret_until INTEGER;

ALTER TABLE api_keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}'; -- a JSON object of strings

-- Calls, and seconds; both NULL without a limit.
ALTER TABLE api_keys ADD COLUMN rate_limit INTEGER;
ALTER TABLE api_keys ADD COLUMN rate_window INTEGER;
