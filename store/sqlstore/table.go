package sqlstore

import "strings"

// columnOf is a column of a table, and the part of a T that it holds.
type columnOf[T any] struct {
	name  string
	fixed bool  // an update leaves it as it is
	since int64 // the schema version that added it; 0 for columns of every readable database
	of    func(*T) stored
}

// columnsOf are the columns of a table, its primary key first. Every statement about the table uses them.
type columnsOf[T any] []columnOf[T]

// names returns the names of the columns.
func (c columnsOf[T]) names() string { return c.namesAt(allColumns) }

// namesAt is names for a query of a database of this schema version, which lacks later columns.
func (c columnsOf[T]) namesAt(version int64) string {
	names := make([]string, len(c))
	for i, column := range c {
		if names[i] = column.name; column.since > version {
			names[i] = `NULL AS ` + column.name
		}
	}
	return strings.Join(names, ", ")
}

// insert returns the statement that inserts a row of values.
func (c columnsOf[T]) insert(table string) string {
	return `INSERT INTO ` + table + ` (` + c.names() + `) VALUES (` + places(1, len(c)) + `)`
}

// upsert is insert, but replaces a row that exists.
func (c columnsOf[T]) upsert(table string) string {
	var set []string
	for _, column := range c[1:] {
		set = append(set, column.name+" = excluded."+column.name)
	}
	return c.insert(table) + ` ON CONFLICT (` + c[0].name + `) DO UPDATE SET ` + strings.Join(set, ", ")
}

// values returns the arguments of insert and upsert.
func (c columnsOf[T]) values(of *T) []any {
	values := make([]any, len(c))
	for i, column := range c {
		values[i] = column.of(of).value()
	}
	return values
}

// parts returns what Scan reads the columns into.
func (c columnsOf[T]) parts(of *T) []any {
	parts := make([]any, len(c))
	for i, column := range c {
		parts[i] = column.of(of)
	}
	return parts
}
