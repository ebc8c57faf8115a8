-- +goose Up

-- 'apik': a file that does not say so is not ours.
PRAGMA application_id = 1634756971;

CREATE TABLE api_keys (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- UUIDv7, so time-ordered
    owner        TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    scopes       TEXT    NOT NULL, -- joined by spaces
    secret_hash  BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    created_at   INTEGER NOT NULL, -- times are milliseconds since 1970, UTC
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

-- The rule of names, and the look-up by name.
CREATE UNIQUE INDEX api_keys_name ON api_keys (owner, name) WHERE revoked_at IS NULL;

-- The look-up of a name that only revoked keys held. Costs a revocation, not an insert.
CREATE INDEX api_keys_revoked_name ON api_keys (owner, name, revoked_at) WHERE revoked_at IS NOT NULL;

-- One owner's keys, newest first, among the keys of many owners.
CREATE INDEX api_keys_owner ON api_keys (owner, id);

CREATE TABLE audit_events (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- UUIDv7
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    key_id     BLOB    NOT NULL,
    owner      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    changed    TEXT    NOT NULL, -- field names joined by spaces
    actor_id   BLOB,             -- NULL is the operator
    via        TEXT    NOT NULL,
    request_id TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;
-- +goose StatementEnd

-- REPLACE deletes without asking the trigger above.
-- +goose StatementBegin
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;
-- +goose StatementEnd
