-- +goose Up

-- From where an owner's keys may be used: networks with spaces between them; empty is from everywhere.
ALTER TABLE owners ADD COLUMN allowed_cidrs TEXT NOT NULL DEFAULT '';

-- Finds the suspended owners among many. Costs a suspension, nothing else.
CREATE INDEX owners_suspended ON owners (owner) WHERE suspended IS NOT NULL;
