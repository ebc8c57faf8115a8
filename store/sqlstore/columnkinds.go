package sqlstore

import (
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"apikeyd/apikey"
)

// The kinds of columns. A zero value is stored as NULL, except as text.
type (
	textColumn     struct{ at *string }
	idColumn       struct{ at *apikey.ID }
	hashColumn     struct{ at *apikey.Hash }
	timeColumn     struct{ at *time.Time }       // milliseconds since 1970
	scopesColumn   struct{ at *apikey.Scopes }   // text, with spaces between them
	metadataColumn struct{ at *apikey.Metadata } // text, a JSON object
	numberColumn   struct{ at *int }
	secondsColumn  struct{ at *time.Duration }
	flagColumn     struct{ at *bool }         // 1
	cidrsColumn    struct{ at *apikey.CIDRs } // text, with spaces between them
	useColumn      struct{ of *apikey.Key }   // lastUse; only read
)

func (c textColumn) value() any { return *c.at }

func (c textColumn) read(r row, i int) (err error) {
	*c.at, err = r.text(i)
	return err
}

func (c idColumn) value() any { return nullID(*c.at) }

func (c idColumn) read(r row, i int) error { return r.fill(i, c.at[:]) }

func (c hashColumn) value() any {
	if *c.at == (apikey.Hash{}) {
		return nil
	}
	return c.at[:]
}

func (c hashColumn) read(r row, i int) error { return r.fill(i, c.at[:]) }

func (c timeColumn) value() any { return millis(*c.at) }

func (c timeColumn) read(r row, i int) error {
	ms, err := r.number(i)
	*c.at = fromMillis(ms)
	return err
}

func (c scopesColumn) value() any { return c.at.String() }

func (c scopesColumn) read(r row, i int) error {
	text, err := r.text(i)
	*c.at = apikey.ParseScopes(text)
	return err
}

// noMetadata is how a key without metadata is stored.
const noMetadata = `{}`

func (c metadataColumn) value() any {
	if len(*c.at) == 0 {
		return noMetadata
	}
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(*c.at)) {
		entries = append(entries, metadataEntry(name, (*c.at)[name]))
	}
	return "{" + strings.Join(entries, ",") + "}"
}

// metadataEntry returns the only text that an entry has. Lists look for it after a comma. That comma and the quote
// after it could also end a text, but only if another one were a name's colon alone, which is therefore escaped: in
// {"x,":":","y":""} the name ":" would have the value ",".
func metadataEntry(name, value string) string {
	if name == ":" {
		return `"\u003a":` + quoted(value)
	}
	return quoted(name) + ":" + quoted(value)
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // no string fails
	return string(b)
}

func (c metadataColumn) read(r row, i int) error {
	text, err := r.text(i)
	if text == noMetadata {
		*c.at = apikey.Metadata{}
	} else if err == nil && json.Unmarshal([]byte(text), c.at) != nil {
		err = errMetadata
	}
	return err
}

func (c numberColumn) value() any { return sql.NullInt64{Int64: int64(*c.at), Valid: *c.at != 0} }

func (c numberColumn) read(r row, i int) error {
	number, err := r.number(i)
	*c.at = int(number.Int64)
	return err
}

func (c secondsColumn) value() any {
	return sql.NullInt64{Int64: int64(*c.at / time.Second), Valid: *c.at != 0}
}

func (c secondsColumn) read(r row, i int) error {
	number, err := r.number(i)
	*c.at = time.Duration(number.Int64) * time.Second
	return err
}

func (c flagColumn) value() any { return sql.NullInt64{Int64: 1, Valid: *c.at} }

func (c flagColumn) read(r row, i int) error {
	number, err := r.number(i)
	*c.at = number.Int64 != 0
	return err
}

func (c cidrsColumn) value() any { return c.at.String() }

// read refuses text that is not a network: an unreadable list would not restrict the key.
func (c cidrsColumn) read(r row, i int) error {
	text, err := r.text(i)
	if *c.at = apikey.ParseCIDRs(strings.Fields(text)); err == nil && apikey.CheckCIDRs("", *c.at) != nil {
		err = errCIDRs
	}
	return err
}

func (c useColumn) value() any { return nil }

func (c useColumn) read(r row, i int) error {
	if r.ColumnType(i) == sqlite.TypeInteger { // of an old schema
		return timeColumn{&c.of.LastUsedAt}.read(r, i)
	}
	text, err := r.text(i)
	if text == "" || err != nil {
		return err
	}
	at, from, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	c.of.LastUsedAt, c.of.LastUsedFrom = time.UnixMilli(ms).UTC(), from
	return err
}

// millis is how a time is stored; the zero time is NULL.
func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// nullID is how an id is stored; the zero id is NULL.
func nullID(id apikey.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}
