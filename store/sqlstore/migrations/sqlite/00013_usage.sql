-- +goose Up

-- How many verifications had which outcome (store.Outcomes). Subjects are named as in quota_uses; an empty owner
-- is all. The hour comes first: what is written together is stored together, and old rows are a range.
CREATE TABLE usage_hours (
    hour    INTEGER NOT NULL, -- since 1970
    subject BLOB    NOT NULL,
    outcome INTEGER NOT NULL,
    uses    INTEGER NOT NULL,
    PRIMARY KEY (hour, subject, outcome)
) STRICT, WITHOUT ROWID;

-- The hours that are no longer kept.
CREATE TABLE usage_days (
    day     INTEGER NOT NULL, -- since 1970
    subject BLOB    NOT NULL,
    outcome INTEGER NOT NULL,
    uses    INTEGER NOT NULL,
    PRIMARY KEY (day, subject, outcome)
) STRICT, WITHOUT ROWID;

-- What VALID calls with a key showed (store.SeenKind), and the last day of it.
CREATE TABLE key_seen (
    id    BLOB    NOT NULL,
    kind  INTEGER NOT NULL,
    value TEXT    NOT NULL,
    day   INTEGER NOT NULL, -- since 1970
    PRIMARY KEY (id, kind, value)
) STRICT, WITHOUT ROWID;

-- Empty if unknown.
ALTER TABLE key_uses ADD COLUMN last_used_from TEXT NOT NULL DEFAULT '';
