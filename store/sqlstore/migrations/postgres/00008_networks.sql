-- +goose Up

-- Networks joined by spaces; empty is all networks.
ALTER TABLE api_keys ADD COLUMN allowed_cidrs TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN observe_cidrs TEXT NOT NULL DEFAULT '';
