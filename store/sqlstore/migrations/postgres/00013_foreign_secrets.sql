-- +goose Up

-- Which of a key's secrets is foreign: 1 the current one, 2 the old one, else NULL.
ALTER TABLE api_keys ADD COLUMN foreign_secret SMALLINT;

-- The keys of imported secrets: the number of the scheme and the hash lead to the key.
CREATE TABLE foreign_secrets (
    secret BYTEA NOT NULL PRIMARY KEY CHECK (length(secret) = 33),
    id     BYTEA NOT NULL CHECK (length(id) = 16)
);
