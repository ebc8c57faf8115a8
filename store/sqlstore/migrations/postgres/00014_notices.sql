-- +goose Up

-- What this means, the migration of SQLite says.
ALTER TABLE api_keys ADD COLUMN rotated_at BIGINT;
UPDATE api_keys SET rotated_at = (SELECT max(at) FROM audit_events WHERE key_id = api_keys.id AND action = 'rotate')
WHERE id IN (SELECT key_id FROM audit_events WHERE action = 'rotate');

CREATE TABLE notices (
    kind      SMALLINT NOT NULL,
    about     BIGINT   NOT NULL,
    subject   BYTEA    NOT NULL,
    threshold BIGINT   NOT NULL,
    PRIMARY KEY (kind, about, subject)
);

CREATE INDEX api_keys_expiry ON api_keys (expires_at, id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_grace ON api_keys (old_secret_until, id) WHERE old_secret_until IS NOT NULL;
CREATE INDEX api_keys_admin ON api_keys (created_at, id) WHERE revoked_at IS NULL AND replace(scopes, 'keys:admin', '') <> scopes;
