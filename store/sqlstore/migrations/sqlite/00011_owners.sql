-- +goose Up

-- What admins set for owners. An owner that was never changed has no row.
CREATE TABLE owners (
    owner           TEXT    NOT NULL PRIMARY KEY,
    suspended       INTEGER, -- 1 while the owner is suspended, else NULL
    max_keys        INTEGER,
    rate_limit      INTEGER,
    rate_window     INTEGER, -- in seconds
    quota_limit     INTEGER,
    quota_period    TEXT    NOT NULL, -- empty without a quota
    quota_starts_on INTEGER,
    metadata        TEXT    NOT NULL -- a JSON object of strings
) STRICT, WITHOUT ROWID;
