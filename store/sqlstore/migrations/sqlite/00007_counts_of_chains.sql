-- +goose Up

-- Each chain counts the keys that its processes created, because nodes of a PostgreSQL database would wait for
-- each other's commits on a common row. Everybody's total is the sum. In a file there is one chain.
ALTER TABLE key_counts RENAME TO key_counts_of_all;

CREATE TABLE key_counts (
    owner TEXT    NOT NULL,
    chain TEXT    NOT NULL,
    keys  INTEGER NOT NULL,
    PRIMARY KEY (owner, chain)
) STRICT, WITHOUT ROWID;

INSERT INTO key_counts (owner, chain, keys) SELECT owner, 'main', keys FROM key_counts_of_all;
DROP TABLE key_counts_of_all;
