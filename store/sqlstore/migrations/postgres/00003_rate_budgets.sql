-- +goose Up

-- How full the buckets of rate limits are (GCRA, as in the package ratelimit). A row that
-- is missing is an empty bucket. No index but the key: each row is written often.
CREATE TABLE rate_budgets (
    id          BYTEA  NOT NULL PRIMARY KEY,
    rate_limit  BIGINT NOT NULL,
    rate_window BIGINT NOT NULL, -- in microseconds
    at          BIGINT NOT NULL, -- in microseconds since 1970, by the server's clock
    level       BIGINT NOT NULL, -- as it was then, in calls × microseconds
    granted     BIGINT NOT NULL  -- what was given last
) WITH (fillfactor = 50);
