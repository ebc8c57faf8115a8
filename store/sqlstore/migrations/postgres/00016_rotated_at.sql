-- +goose Up

-- When a key was last rotated, or NULL. Of earlier rotations the audit log knows, as far back as it goes.
ALTER TABLE api_keys ADD COLUMN rotated_at BIGINT;

UPDATE api_keys SET rotated_at = (
    SELECT max(at) FROM audit_events WHERE audit_events.key_id = api_keys.id AND action = 'rotate'
);
