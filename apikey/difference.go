package apikey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Difference is a field that differs between two states of a key. From and To are its values in the
// contract's JSON, nil if the field is absent. If both are nil the values are unknown.
type Difference struct {
	Field    string
	From, To jsontext.Value
}

// Differences are sorted by field. Their JSON is one object in the canonical form of RFC 8785:
// {"name":{"from":"a","to":"b"}}.
type Differences []Difference

// Difference compares the key at now with its earlier state, before, which is nil for a new key.
func (k *Key) Difference(before *Key, now time.Time) Differences {
	var all Differences
	for _, field := range fields {
		if !field.recorded {
			continue
		}
		var from jsontext.Value
		if before != nil {
			from = field.json(nil, before, now)
		}
		if to := jsontext.Value(field.json(nil, k, now)); !bytes.Equal(from, to) {
			all = append(all, Difference{field.name, from, to})
		}
	}
	return all
}

// Get returns a field's difference, if there is one.
func (d Differences) Get(field string) (Difference, bool) {
	i := slices.IndexFunc(d, func(one Difference) bool { return one.Field == field })
	if i < 0 {
		return Difference{}, false
	}
	return d[i], true
}

// String returns the JSON.
func (d Differences) String() string {
	b := []byte{'{'}
	for _, one := range d {
		b = append(appendText(appendComma(b), one.Field), `:{`...)
		if one.From != nil {
			b = append(append(b, `"from":`...), one.From...)
		}
		if one.To != nil {
			b = append(append(appendComma(b), `"to":`...), one.To...)
		}
		b = append(b, '}')
	}
	return string(append(b, '}'))
}

// MarshalJSON returns the JSON.
func (d Differences) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads any JSON of this shape, canonical or not.
func (d *Differences) UnmarshalJSON(text []byte) error {
	canonical := jsontext.Value(bytes.Clone(text))
	if err := canonical.Canonicalize(); err != nil {
		return fmt.Errorf("reading differences: %w", err)
	}
	var fields map[string]struct{ From, To jsontext.Value }
	if err := json.Unmarshal(canonical, &fields); err != nil {
		return fmt.Errorf("reading differences: %w", err)
	}
	*d = make(Differences, 0, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		*d = append(*d, Difference{name, unlessNull(fields[name].From), unlessNull(fields[name].To)})
	}
	return nil
}

// unlessNull returns nil for null: the contract leaves absent values out.
func unlessNull(value jsontext.Value) jsontext.Value {
	if string(value) == "null" {
		return nil
	}
	return value
}
