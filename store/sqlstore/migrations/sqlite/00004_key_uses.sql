-- +goose Up

-- When keys were last used, apart from the keys: this is written far more often, and a
-- page holds a hundred of these rows and ten of those.
CREATE TABLE key_uses (
    id           BLOB    NOT NULL PRIMARY KEY, -- of the key
    last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO key_uses (id, last_used_at) SELECT id, last_used_at FROM api_keys WHERE last_used_at IS NOT NULL;
ALTER TABLE api_keys DROP COLUMN last_used_at;
