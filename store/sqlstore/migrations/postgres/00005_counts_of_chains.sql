-- +goose Up

-- Each chain counts the keys that its nodes created, because nodes would wait for each other's commits on a common
-- row. Everybody's total is the sum.
ALTER TABLE key_counts ADD COLUMN chain TEXT COLLATE "C" NOT NULL DEFAULT 'main';
ALTER TABLE key_counts ALTER COLUMN chain DROP DEFAULT;
ALTER TABLE key_counts DROP CONSTRAINT key_counts_pkey;
ALTER TABLE key_counts ADD PRIMARY KEY (owner, chain);
