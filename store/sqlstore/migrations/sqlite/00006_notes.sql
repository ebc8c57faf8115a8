-- +goose Up

-- What apikeyd must remember of the database itself: see notes.go.
CREATE TABLE notes (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
