-- +goose Up

-- What the tables mean, the migrations of SQLite say.
CREATE TABLE webhooks (
    id               BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    url              TEXT   NOT NULL,
    description      TEXT   NOT NULL,
    events           TEXT   NOT NULL,
    owner            TEXT   COLLATE "C" NOT NULL,
    disabled_at      BIGINT,
    disabled_reason  TEXT   NOT NULL,
    secret           BYTEA  NOT NULL,
    old_secret       BYTEA,
    old_secret_until BIGINT,
    created_at       BIGINT NOT NULL,
    failing_since    BIGINT
);

CREATE TABLE webhook_cursors (
    place    BYTEA NOT NULL PRIMARY KEY,
    webhook  BYTEA NOT NULL,
    chain    TEXT  COLLATE "C" NOT NULL,
    event_id BYTEA NOT NULL CHECK (length(event_id) = 16)
) WITH (fillfactor = 50);

CREATE TABLE webhook_deliveries (
    place       BYTEA    NOT NULL PRIMARY KEY,
    webhook     BYTEA    NOT NULL,
    event_id    BYTEA    NOT NULL CHECK (length(event_id) = 16),
    type        TEXT     NOT NULL,
    since       BIGINT   NOT NULL,
    attempts    BIGINT   NOT NULL,
    next_at     BIGINT,
    finished_at BIGINT,
    delivered   SMALLINT NOT NULL,
    status      BIGINT,
    error       TEXT     NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook, next_at) WHERE finished_at IS NULL;

CREATE TABLE webhook_turn (
    name   TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    holder BYTEA  NOT NULL,
    beat   BIGINT NOT NULL
) WITH (fillfactor = 50);
