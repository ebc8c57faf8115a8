-- +goose Up

ALTER TABLE owners ADD COLUMN allowed_cidrs TEXT NOT NULL DEFAULT '';

CREATE INDEX owners_suspended ON owners (owner) WHERE suspended IS NOT NULL;
