-- +goose Up

-- The keys of sessions. They are apart from api_keys, so that lists, counts and bounds need not leave them out.
CREATE TABLE session_keys (
    id                BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- UUIDv7
    session           TEXT COLLATE "C" NOT NULL, -- apikey.Session
    owner             TEXT COLLATE "C" NOT NULL,
    name              TEXT COLLATE "C" NOT NULL,
    prefix            TEXT COLLATE "C" NOT NULL,
    scopes            TEXT COLLATE "C" NOT NULL, -- joined by spaces
    secret_hash       BYTEA  NOT NULL CHECK (length(secret_hash) = 32),
    created_at        BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    revoked_at        BIGINT,
    revocation_reason TEXT COLLATE "C" NOT NULL,
    metadata          TEXT COLLATE "C" NOT NULL, -- a JSON object of strings
    rate_limit        INTEGER,
    rate_window       INTEGER, -- in seconds
    quota_limit       BIGINT,
    quota_period      TEXT COLLATE "C" NOT NULL, -- empty without a quota
    quota_starts_on   SMALLINT,
    allowed_cidrs     TEXT COLLATE "C" NOT NULL  -- networks joined by spaces
);

-- Owner links that were not opened. The session that one starts gets its id.
CREATE TABLE owner_links (
    id         BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    token_hash BYTEA  NOT NULL CHECK (length(token_hash) = 32),
    creator    BYTEA, -- the key that made it; NULL is the operator
    owner      TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    scopes     TEXT COLLATE "C" NOT NULL,
    metadata   TEXT COLLATE "C" NOT NULL,
    until      BIGINT NOT NULL,
    seconds    INTEGER NOT NULL -- how long the session lasts
);
