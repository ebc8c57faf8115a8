-- +goose Up

-- Endpoints that hear of audit events.
CREATE TABLE webhooks (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- UUIDv7
    url              TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    events           TEXT    NOT NULL, -- types joined by spaces; empty for all
    owner            TEXT    NOT NULL, -- whose events; empty for all owners'
    disabled_at      INTEGER,
    disabled_reason  TEXT    NOT NULL, -- empty while enabled
    secret           BLOB    NOT NULL,
    old_secret       BLOB,
    old_secret_until INTEGER,
    created_at       INTEGER NOT NULL,
    failing_since    INTEGER -- when the first delivery failed since one succeeded
) STRICT, WITHOUT ROWID;

-- Up to which event of a chain deliveries were made for an endpoint; from the first one if there is no row.
CREATE TABLE webhook_cursors (
    place    BLOB NOT NULL PRIMARY KEY, -- the endpoint's id and the chain
    webhook  BLOB NOT NULL,
    chain    TEXT NOT NULL,
    event_id BLOB NOT NULL CHECK (length(event_id) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_deliveries (
    place       BLOB    NOT NULL PRIMARY KEY, -- the endpoint's id and the event's
    webhook     BLOB    NOT NULL,
    event_id    BLOB    NOT NULL CHECK (length(event_id) = 16),
    type        TEXT    NOT NULL,
    since       INTEGER NOT NULL, -- when the attempts began
    attempts    INTEGER NOT NULL,
    next_at     INTEGER, -- NULL if there will be no further attempt
    finished_at INTEGER, -- NULL while it waits
    delivered   INTEGER NOT NULL, -- 1 if the receiver has taken it
    status      INTEGER, -- of the last answer
    error       TEXT    NOT NULL -- of the last attempt
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook, next_at) WHERE finished_at IS NULL;

-- Which node delivers.
CREATE TABLE webhook_turn (
    name   TEXT    NOT NULL PRIMARY KEY,
    holder BLOB    NOT NULL,
    beat   INTEGER NOT NULL -- counts renewals
) STRICT, WITHOUT ROWID;
