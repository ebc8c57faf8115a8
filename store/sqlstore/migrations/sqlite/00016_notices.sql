-- +goose Up

-- When a key was last rotated, or NULL. Of earlier rotations the audit log knows, as far back as it goes.
ALTER TABLE api_keys ADD COLUMN rotated_at INTEGER;
UPDATE api_keys SET rotated_at = (SELECT max(at) FROM audit_events WHERE key_id = api_keys.id AND action = 'rotate')
WHERE id IN (SELECT key_id FROM audit_events WHERE action = 'rotate');

-- Which notices were written (store.NoticeKind): rows with the same end are neighbours, and old ones are a range.
CREATE TABLE notices (
    kind      INTEGER NOT NULL,
    about     INTEGER NOT NULL, -- the moment that the notice is about
    subject   BLOB    NOT NULL, -- a key's id; of a quota, named as in quota_uses
    threshold INTEGER NOT NULL, -- how long before that moment: the least of which a notice was written
    PRIMARY KEY (kind, about, subject)
) STRICT, WITHOUT ROWID;

-- What notices are about, in the order of time. The first is an insert more for each new key.
CREATE INDEX api_keys_expiry ON api_keys (expires_at, id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_grace ON api_keys (old_secret_until, id) WHERE old_secret_until IS NOT NULL;
CREATE INDEX api_keys_admin ON api_keys (created_at, id) WHERE revoked_at IS NULL AND replace(scopes, 'keys:admin', '') <> scopes;
