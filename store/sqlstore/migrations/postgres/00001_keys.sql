-- +goose Up

-- What the tables mean, the migrations of SQLite say. Texts compare byte for byte.

CREATE TABLE api_keys (
    id               BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner            TEXT   COLLATE "C" NOT NULL,
    name             TEXT   COLLATE "C" NOT NULL,
    prefix           TEXT   NOT NULL,
    scopes           TEXT   NOT NULL,
    secret_hash      BYTEA  NOT NULL CHECK (length(secret_hash) = 32),
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    revoked_at       BIGINT,
    old_secret_hash  BYTEA  CHECK (length(old_secret_hash) = 32),
    old_secret_until BIGINT,
    metadata         TEXT   NOT NULL,
    rate_limit       BIGINT,
    rate_window      BIGINT
);

CREATE UNIQUE INDEX api_keys_name ON api_keys (owner, name) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_revoked_name ON api_keys (owner, name, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_owner ON api_keys (owner, id);

CREATE TABLE key_counts (
    owner TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    keys  BIGINT NOT NULL
) WITH (fillfactor = 50); -- a row is written with every key of its owner

INSERT INTO key_counts (owner, keys) VALUES ('', 0);

CREATE TABLE key_uses (
    id           BYTEA  NOT NULL PRIMARY KEY,
    last_used_at BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE audit_events (
    id         BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at         BIGINT NOT NULL,
    action     TEXT   NOT NULL,
    key_id     BYTEA  NOT NULL CHECK (length(key_id) = 16),
    owner      TEXT   COLLATE "C" NOT NULL,
    name       TEXT   COLLATE "C" NOT NULL,
    changes    TEXT   NOT NULL,
    actor_id   BYTEA  CHECK (length(actor_id) = 16),
    via        TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    chain      TEXT   COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL CHECK (seq > 0),
    hash       BYTEA  NOT NULL CHECK (length(hash) = 32)
);

CREATE INDEX audit_events_key ON audit_events (key_id);

-- Several chains share the table: the oldest of one are not the oldest of all.
CREATE INDEX audit_events_chain ON audit_events (chain, id);

CREATE TABLE audit_chains (
    chain    TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    event_id BYTEA  NOT NULL CHECK (length(event_id) = 16),
    seq      BIGINT NOT NULL,
    hash     BYTEA  NOT NULL CHECK (length(hash) = 32)
) WITH (fillfactor = 50);

CREATE TABLE audit_anchors (
    chain    TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    event_id BYTEA  NOT NULL CHECK (length(event_id) = 16),
    seq      BIGINT NOT NULL,
    hash     BYTEA  NOT NULL CHECK (length(hash) = 32),
    at       BIGINT NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION apikeyd_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION apikeyd_refuse('audit_events is append-only');
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION apikeyd_refuse('audit_events is append-only');

-- +goose StatementBegin
CREATE FUNCTION apikeyd_event_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM audit_anchors WHERE chain = OLD.chain AND seq >= OLD.seq) THEN
        RAISE EXCEPTION 'audit_events is append-only';
    END IF;
    RETURN OLD;
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION apikeyd_event_delete();

CREATE TRIGGER audit_chains_forward BEFORE UPDATE ON audit_chains
    FOR EACH ROW WHEN (NEW.chain <> OLD.chain OR NEW.seq <= OLD.seq)
    EXECUTE FUNCTION apikeyd_refuse('a chain only grows');
CREATE TRIGGER audit_chains_no_delete BEFORE DELETE ON audit_chains
    FOR EACH ROW EXECUTE FUNCTION apikeyd_refuse('a chain only grows');

-- +goose StatementBegin
CREATE FUNCTION apikeyd_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM audit_events
        WHERE id = NEW.event_id AND chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash) THEN
        RAISE EXCEPTION 'an anchor must be an event';
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.chain <> OLD.chain OR NEW.seq <= OLD.seq) THEN
        RAISE EXCEPTION 'an anchor only moves forward, to an event';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_anchors_forward BEFORE INSERT OR UPDATE ON audit_anchors
    FOR EACH ROW EXECUTE FUNCTION apikeyd_anchor();
CREATE TRIGGER audit_anchors_no_delete BEFORE DELETE ON audit_anchors
    FOR EACH ROW EXECUTE FUNCTION apikeyd_refuse('an anchor stays');
