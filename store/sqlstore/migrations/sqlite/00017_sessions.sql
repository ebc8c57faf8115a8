-- +goose Up

-- The keys of sessions. They are apart from api_keys, so that lists, counts and bounds need not leave them out.
CREATE TABLE session_keys (
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- UUIDv7
    session           TEXT    NOT NULL, -- apikey.Session
    owner             TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    prefix            TEXT    NOT NULL,
    scopes            TEXT    NOT NULL, -- joined by spaces
    secret_hash       BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    revoked_at        INTEGER,
    revocation_reason TEXT    NOT NULL,
    metadata          TEXT    NOT NULL, -- a JSON object of strings
    rate_limit        INTEGER,
    rate_window       INTEGER, -- in seconds
    quota_limit       INTEGER,
    quota_period      TEXT    NOT NULL, -- empty without a quota
    quota_starts_on   INTEGER,
    allowed_cidrs     TEXT    NOT NULL  -- networks joined by spaces
) STRICT, WITHOUT ROWID;

-- Owner links that were not opened. The session that one starts gets its id.
CREATE TABLE owner_links (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    token_hash BLOB    NOT NULL CHECK (length(token_hash) = 32),
    creator    BLOB, -- the key that made it; NULL is the operator
    owner      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    metadata   TEXT    NOT NULL,
    until      INTEGER NOT NULL,
    seconds    INTEGER NOT NULL -- how long the session lasts
) STRICT, WITHOUT ROWID;
