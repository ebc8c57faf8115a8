-- +goose Up

-- How many verifications had which outcome (store.Outcomes). Subjects are named as in quota_uses; an empty owner
-- is all. The hour comes first: what is written together is stored together, and old rows are a range.
CREATE TABLE usage_hours (
    uses    BIGINT   NOT NULL,
    hour    INTEGER  NOT NULL, -- since 1970
    outcome SMALLINT NOT NULL,
    subject BYTEA    NOT NULL,
    PRIMARY KEY (hour, subject, outcome)
) WITH (fillfactor = 70);

-- The hours that are no longer kept.
CREATE TABLE usage_days (
    uses    BIGINT   NOT NULL,
    day     INTEGER  NOT NULL, -- since 1970
    outcome SMALLINT NOT NULL,
    subject BYTEA    NOT NULL,
    PRIMARY KEY (day, subject, outcome)
);

-- What VALID calls with a key showed (store.SeenKind), and the last day of it.
CREATE TABLE key_seen (
    id    BYTEA            NOT NULL,
    day   INTEGER          NOT NULL, -- since 1970
    kind  SMALLINT         NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (id, kind, value)
);

-- Empty if unknown.
ALTER TABLE key_uses ADD COLUMN last_used_from TEXT NOT NULL DEFAULT '';
