package apikey

import "time"

// definitionOf defines a field of the settings S, which a change C can change.
type definitionOf[S, C, T any] struct {
	name      string // in the contract and the audit log
	of        func(*S) *T
	in        func(C) *T // nil if the field cannot be changed
	normalize func(T) T  // nil keeps values as they are
	check     func(Policy, time.Time, T) error
	json      func([]byte, T) []byte // appends the value, or nothing if it is absent
}

// settingOf is a definition without its type.
type settingOf[S, C any] struct {
	name      string
	normalize func(*S)
	check     func(Policy, time.Time, *S) error
	take      func(*S, C) bool // reports whether the change has the field; nil if it cannot change
	json      func([]byte, *S) []byte
	pack      func([]byte, *S) []byte
	unpack    func(packed string, s *S, metadata bool) (rest string)
}

// setting is a definition of a key's field without its type.
type setting = settingOf[Settings, Change]

func (d definitionOf[S, C, T]) setting() settingOf[S, C] {
	s := settingOf[S, C]{
		name:      d.name,
		normalize: func(*S) {},
		check:     func(p Policy, now time.Time, s *S) error { return d.check(p, now, *d.of(s)) },
		json:      func(b []byte, s *S) []byte { return d.json(b, *d.of(s)) },
		pack:      func(b []byte, s *S) []byte { return appendPacked(b, d.of(s)) },
		unpack:    func(p string, s *S, metadata bool) string { return cutPacked(p, d.of(s), metadata) },
	}
	if d.normalize != nil {
		s.normalize = func(s *S) { *d.of(s) = d.normalize(*d.of(s)) }
	}
	if d.in != nil {
		s.take = func(s *S, c C) bool {
			value := d.in(c)
			if value != nil {
				*d.of(s) = *value
			}
			return value != nil
		}
	}
	return s
}

// rule returns a check that depends on the value alone.
func rule[T any](check func(T) error) func(Policy, time.Time, T) error {
	return func(_ Policy, _ time.Time, value T) error { return check(value) }
}

// anyBool accepts both values.
func anyBool(bool) error { return nil }

func normalize[S, C any](fields []settingOf[S, C], s S) S {
	for _, field := range fields {
		field.normalize(&s)
	}
	return s
}

// checkChange returns an *InvalidError that lists all invalid fields of c.
func checkChange[S, C any](fields []settingOf[S, C], p Policy, now time.Time, c C) error {
	var errs []error
	for _, field := range fields {
		var s S
		if field.take != nil && field.take(&s, c) {
			errs = append(errs, field.check(p, now, &s))
		}
	}
	return joinInvalid(errs...)
}

// apply returns the settings with the change made.
func apply[S, C any](fields []settingOf[S, C], s S, c C) S {
	for _, field := range fields {
		if field.take != nil {
			field.take(&s, c)
		}
	}
	return normalize(fields, s)
}
