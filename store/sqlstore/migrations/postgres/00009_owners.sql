-- +goose Up

-- What admins set for owners. An owner that was never changed has no row.
CREATE TABLE owners (
    owner           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    suspended       SMALLINT,
    max_keys        BIGINT,
    rate_limit      BIGINT,
    rate_window     BIGINT,
    quota_limit     BIGINT,
    quota_period    TEXT   NOT NULL,
    quota_starts_on BIGINT,
    metadata        TEXT   NOT NULL
);

-- Subjects are named as in quota_uses, because owners have rate limits too.
UPDATE rate_budgets SET id = '\x6b'::bytea || id WHERE length(id) = 16;
