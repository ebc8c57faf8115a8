-- +goose Up

-- The processes that remember keys, and so must hear of each change before it is answered
-- (docs/consistency.md). Whoever waits for a node takes the time itself, from when it first
-- saw this number of renewals: no clock is written down, so none is compared with another.
CREATE TABLE nodes (
    node     TEXT   NOT NULL PRIMARY KEY, -- new with each start of a process
    name     TEXT   NOT NULL,             -- for people
    renewals BIGINT NOT NULL,             -- of its lease: never the same number twice
    lease_ms BIGINT NOT NULL              -- how long it may trust what it remembers after one
);
