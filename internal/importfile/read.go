package importfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is a row of a file with foreign keys. Values are as JSON has them, numbers as json.Number; all values from CSV
// are texts, and empty ones are absent.
type record map[string]any

// Rows are the rows of a file, which is CSV, JSON Lines, a JSON array, or an answer with such an array in "data" or
// "keys". An error ends them.
type Rows struct {
	csv    *csv.Reader // nil for JSON
	names  []string    // of its columns
	json   *json.Decoder
	array  bool     // the file is one array
	waits  []record // of an array within an object
	offset func() int64
}

// Offset returns how many bytes of the file were read.
func (r *Rows) Offset() int64 { return r.offset() }

const byteOrderMark = "\ufeff"

// Read begins to read a file.
func Read(from io.Reader) (*Rows, error) {
	b := bufio.NewReader(from)
	if start, _ := b.Peek(len(byteOrderMark)); string(start) == byteOrderMark {
		_, _ = b.Discard(len(byteOrderMark))
	}
	start, err := b.Peek(1)
	for err == nil && strings.ContainsAny(string(start), " \t\r\n") {
		_, _ = b.Discard(1)
		start, err = b.Peek(1)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(start) == 0:
		return nil, errors.New("the file is empty")
	case start[0] == '{', start[0] == '[':
		r := &Rows{json: json.NewDecoder(b), array: start[0] == '['}
		r.json.UseNumber()
		r.offset = r.json.InputOffset
		if r.array {
			_, err = r.json.Token()
		}
		return r, err
	}
	r := &Rows{csv: csv.NewReader(b)}
	r.offset = r.csv.InputOffset
	r.csv.ReuseRecord = true
	names, err := r.csv.Read()
	for i, name := range names {
		name = strings.TrimSpace(name)
		if same := slices.Index(r.names, name); same >= 0 { // not quoted: a file without a header begins with values
			return nil, fmt.Errorf("columns %d and %d of the file have the same name; remove or rename one", same+1, i+1)
		}
		r.names = append(r.names, name)
	}
	return r, withoutText(err)
}

// all iterates over the rows.
func (r *Rows) all() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for {
			row, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(row, withoutText(err)) || err != nil {
				return
			}
		}
	}
}

func (r *Rows) next() (record, error) {
	if r.csv != nil {
		cells, err := r.csv.Read()
		if err != nil {
			return nil, err // a row with another number of cells is returned too
		}
		row := make(record, len(cells))
		for i, cell := range cells {
			if cell != "" {
				row[r.names[i]] = strings.Clone(cell)
			}
		}
		return row, nil
	}
	for len(r.waits) == 0 {
		if r.array && !r.json.More() {
			return nil, r.endArray()
		}
		var row record
		if err := r.json.Decode(&row); err != nil {
			return nil, err
		}
		list, ok := row["data"].([]any)
		if !ok {
			list, ok = row["keys"].([]any)
		}
		if r.array || !ok {
			return row, nil
		}
		for _, item := range list {
			one, _ := item.(map[string]any)
			r.waits = append(r.waits, one)
		}
	}
	row := r.waits[0]
	r.waits = r.waits[1:]
	return row, nil
}

// endArray returns io.EOF if nothing follows the array but its bracket.
func (r *Rows) endArray() error {
	if _, err := r.json.Token(); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	if _, err := r.json.Token(); err != nil {
		return err
	}
	return errors.New("the file has more than one array")
}

// withoutText returns an error that quotes nothing of the file, which holds secrets.
func withoutText(err error) error {
	var line *csv.ParseError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &line):
		return fmt.Errorf("line %d of the file is not valid CSV: %w", line.Line, line.Err)
	case errors.As(err, &syntax):
		return fmt.Errorf("the file is not valid JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("the file has no JSON object at byte %d", kind.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the file is cut off: a row or the array has no end")
	}
	return err
}

// text returns the first of these fields that is there, as text.
func (r record) text(names ...string) string {
	for _, name := range names {
		switch value := r[name].(type) {
		case string:
			if value != "" {
				return value
			}
		case json.Number:
			return value.String()
		}
	}
	return ""
}

// number returns a field as a whole number; 0 if it is absent or none.
func (r record) number(names ...string) int {
	n, _ := strconv.ParseFloat(r.text(names...), 64)
	return int(n)
}

// is reports whether a field is true, or false, as otherwise says if it is absent.
func (r record) is(name string, otherwise bool) bool {
	if value, ok := r[name].(bool); ok {
		return value
	}
	switch strings.ToLower(r.text(name)) {
	case "true", "t", "1", "yes":
		return true
	case "false", "f", "0", "no":
		return false
	}
	return otherwise
}

// object returns a field that is an object, or the text of one.
func (r record) object(name string) record {
	if object, ok := r[name].(map[string]any); ok {
		return object
	}
	var object record
	decoder := json.NewDecoder(bytes.NewReader([]byte(r.text(name))))
	decoder.UseNumber()
	if decoder.Decode(&object) != nil {
		return nil
	}
	return object
}

// list returns a field that is a list of texts, the JSON of one, or texts between commas or spaces.
func (r record) list(name string) (all []string) {
	items, ok := r[name].([]any)
	if !ok && json.Unmarshal([]byte(r.text(name)), &items) != nil {
		return strings.FieldsFunc(r.text(name), func(c rune) bool { return c == ',' || c == ' ' })
	}
	for _, item := range items {
		if text, ok := item.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// time returns a field that is a time: RFC 3339, as databases print it, or in seconds or milliseconds since 1970. It is
// zero if the field is absent.
func (r record) time(names ...string) (time.Time, error) {
	text := r.text(names...)
	if text == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		const lastSecond = 1e11            // as milliseconds it is in 1973
		const endOfTime = 253402300799_999 // in the year 9999
		if n < lastSecond {
			n *= 1000
		}
		if math.Abs(n) <= endOfTime { // neither infinity nor NaN is
			return time.UnixMilli(int64(n)).UTC(), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &rowError{names[0], "must be a time in RFC 3339, such as 2030-01-31T12:00:00Z, or a number of seconds or milliseconds since 1970"}
}

// rowError says what is wrong with a field of a row. It quotes no value.
type rowError struct{ field, message string }

func (e *rowError) Error() string { return e.field + " " + e.message }
